//! The tables, and how an older database becomes a present one.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::timers::{self, Moment};
use crate::Error;

/// What brings the format from its index to the next; `PRAGMA user_version` counts them. Never change one that was
/// released: add another.
const STEPS: [&str; 4] = [
    "
    CREATE TABLE settings(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE vms(
        number INTEGER PRIMARY KEY,          -- the order of launch
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        machine_type TEXT NOT NULL,
        source_name TEXT NOT NULL,
        cpu INTEGER NOT NULL,
        memory_mib INTEGER NOT NULL,
        disk_gib INTEGER NOT NULL,
        status TEXT NOT NULL,
        status_reason TEXT NOT NULL,         -- why it is not running, for people
        halted INTEGER NOT NULL,             -- 1 while a snapshot holds its processes
        metadata TEXT NOT NULL,              -- JSON, as are the next two
        env_vars TEXT NOT NULL,
        firewall TEXT NOT NULL,
        upper TEXT NOT NULL,                 -- the layer it writes to
        nonce TEXT NOT NULL,                 -- of its present or last boot
        host_boot TEXT NOT NULL,             -- boot id of the host at that boot
        created_at TEXT NOT NULL
    );
    CREATE TABLE snapshots(
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        vm_id TEXT NOT NULL,
        status TEXT NOT NULL,
        machine_type TEXT NOT NULL,
        cpu INTEGER NOT NULL,
        memory_mib INTEGER NOT NULL,
        disk_gib INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        env_vars TEXT NOT NULL,
        firewall TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE TABLE stacks(
        owner TEXT NOT NULL,                 -- a VM or a snapshot
        depth INTEGER NOT NULL,              -- 0 is on top
        layer TEXT NOT NULL,
        PRIMARY KEY(owner, depth)
    ) WITHOUT ROWID;
    CREATE INDEX stacks_by_layer ON stacks(layer);
    CREATE TABLE blobs(
        id TEXT PRIMARY KEY,
        vm_id TEXT NOT NULL,
        content_type TEXT NOT NULL,          -- what an upload must say
        max_bytes INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE vms ADD COLUMN services TEXT NOT NULL DEFAULT '[]';        -- JSON, sorted by name
    ALTER TABLE snapshots ADD COLUMN services TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE vms ADD COLUMN paused_at TEXT;
    ALTER TABLE vms ADD COLUMN pause_snapshot TEXT;      -- the snapshot that was made in this pause
    ALTER TABLE vms ADD COLUMN ttl TEXT;                 -- JSON
    ALTER TABLE vms ADD COLUMN expires_at_ms INTEGER;    -- Unix; only while running
    ALTER TABLE vms ADD COLUMN ttl_remaining_ms INTEGER; -- only while not running
    ALTER TABLE vms ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';         -- JSON
    CREATE TABLE volumes(
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        backend TEXT NOT NULL,
        access_mode TEXT NOT NULL,
        size_gib INTEGER,                    -- of a native one
        uri TEXT,                            -- of object storage, as is the next
        credential TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    );
    CREATE TABLE credentials(
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
",
    // What a verb that was cut off left, so that the next engine can finish or undo it.
    "
    ALTER TABLE vms ADD COLUMN copying INTEGER NOT NULL DEFAULT 0;         -- 1 while a tree is made in its folder
    ALTER TABLE vms ADD COLUMN booting INTEGER NOT NULL DEFAULT 0;         -- 1 while it gets another machine
    ALTER TABLE snapshots ADD COLUMN status_reason TEXT NOT NULL DEFAULT ''; -- why it cannot be restored, for people
    ALTER TABLE snapshots ADD COLUMN mount TEXT NOT NULL DEFAULT '';       -- while creating: where its data was written
",
    "
    ALTER TABLE vms ADD COLUMN deadline_ms INTEGER;      -- when the TTL acts, on the clock since the boot of host_boot
    ALTER TABLE vms ADD COLUMN disk_grace_bytes INTEGER; -- what its disk may take meanwhile, if that is more than its size
    ALTER TABLE volumes ADD COLUMN grace_bytes INTEGER;  -- the same of a volume
",
];

/// How long to wait for another process that makes the same database, and between two tries.
const WAL_TIMEOUT: Duration = Duration::from_secs(10);
const WAL_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Sets up a connection and brings the database to the present format.
///
/// `check_new` is asked before an empty database gets its tables.
pub(super) fn prepare(
    connection: &mut Connection,
    path: &Path,
    check_new: impl Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let fail = Error::store(path);
    let journal: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(&fail)?;
    if journal != "wal" {
        enter_wal(connection).map_err(&fail)?;
    }
    connection
        .pragma_update(None, "synchronous", "NORMAL")
        .map_err(&fail)?;
    // Else the last one to close writes the log back and waits for the disk, which would be most of the time of a
    // short command. The log is written back when it has grown, and what is in it is no less safe.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(&fail)?;
    if version(connection).map_err(&fail)? != known() {
        migrate(connection, path, check_new)?;
    }
    Ok(())
}

/// Turns the write-ahead log on. Two first starts at once refuse each other, and SQLite does not wait for this one.
fn enter_wal(connection: &Connection) -> rusqlite::Result<()> {
    // Each try may wait as long as any write does.
    let end = Instant::now() + WAL_TIMEOUT;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < end =>
            {
                thread::sleep(WAL_RETRY_DELAY);
            }
            other => return other,
        }
    }
}

fn migrate(
    connection: &mut Connection,
    path: &Path,
    check_new: impl Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let fail = Error::store(path);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(&fail)?;
    // Another process may have done it while this one waited.
    let found = version(&transaction).map_err(&fail)?;
    if found > known() {
        return Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    if found == 0 {
        // What is beside a database that nobody has used yet was in another one, which is gone.
        check_new()?;
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step).map_err(&fail)?;
    }
    timers::adopt(&transaction, Moment::now()).map_err(&fail)?;
    transaction
        .pragma_update(None, "user_version", known())
        .map_err(&fail)?;
    transaction.commit().map_err(&fail)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn known() -> i64 {
    STEPS.len() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::folder::Folder;
    use crate::store::Store;

    #[test]
    fn many_first_starts_at_once_agree() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Store::open(&folder).unwrap());
            }
        });
    }

    #[test]
    fn an_older_database_becomes_a_present_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        let connection = Connection::open(folder.database()).unwrap();
        for step in &STEPS[..2] {
            connection.execute_batch(step).unwrap();
        }
        let columns = "id, name, vm_id, status, machine_type, cpu, memory_mib, disk_gib, metadata, env_vars, firewall, created_at";
        let row = r#"'a', '', '', 'ready', '', 1, 1, 1, '{}', '{}', '{"mode":"open"}', ''"#;
        let insert = format!("INSERT INTO snapshots({columns}) VALUES ({row})");
        connection.execute(&insert, []).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        drop(connection);
        let store = Store::open(&folder).unwrap();
        let found = store.read(|connection| crate::store::snapshots::get(connection, "a"));
        assert_eq!(found.unwrap().unwrap().status, "ready");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        Connection::open(folder.database())
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let error = Store::open(&folder).unwrap_err();
        assert!(error.to_string().contains("newer than"), "{error}");
    }

    #[test]
    fn an_empty_database_beside_things_is_refused_and_makes_no_tables() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        std::fs::create_dir(folder.layer("a")).unwrap();
        for make in [
            |_: &Folder| {},
            |folder: &Folder| {
                std::fs::write(folder.database(), "").unwrap();
            },
        ] {
            make(&folder);
            let error = Store::open(&folder).unwrap_err();
            assert!(matches!(error, Error::Lost { .. }), "{error}");
        }
        std::fs::remove_dir(folder.layer("a")).unwrap();
        Store::open(&folder).unwrap();
    }
}
