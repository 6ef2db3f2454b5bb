//! What exists, in SQLite. Several processes write to one database.

pub(crate) mod blobs;
pub(crate) mod credentials;
pub(crate) mod disks;
mod json;
pub(crate) mod records;
mod schema;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod stacks;
pub(crate) mod timers;
pub(crate) mod usage;
pub(crate) mod vms;
pub(crate) mod volumes;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use self::records::Records;
use super::disk::Space;
use super::folder::Folder;
use super::{Error, is_full, reserve};

/// How long a write waits for the write of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest database: its header, by the description of the file format.
const HEADER_BYTES: u64 = 100;

/// A connection to the database, shared by the threads of this process.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    folder: Folder,
    records: Records,
}

/// Whether a database may be empty where there are things that it should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    Allowed,
    Refused,
}

impl Store {
    /// Opens the database, made or brought to the present format when it is not.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not sound, as far as opening shows; [`Error::Lost`] if it is empty while there are
    /// things that it should know: they would be taken for rubbish.
    pub(crate) fn open(folder: &Folder) -> Result<Self, Error> {
        Self::open_as(folder, Empty::Refused)
    }

    /// Opens the database for a repair, which knows why it is empty.
    pub(crate) fn open_to_repair(folder: &Folder) -> Result<Self, Error> {
        Self::open_as(folder, Empty::Allowed)
    }

    fn open_as(folder: &Folder, empty: Empty) -> Result<Self, Error> {
        let path = folder.database();
        let fail = Error::store(&path);
        let check_remains = || match empty {
            Empty::Allowed => Ok(()),
            Empty::Refused => check_remains(folder),
        };
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            let problem = "it is not a regular file".to_owned();
            return Err(Error::Damaged {
                path: path.clone(),
                problem,
            });
        }
        // SQLite takes such a file for a new database, and waits for whoever has the old one open.
        if fs::metadata(&path).is_ok_and(|found| (1..HEADER_BYTES).contains(&found.len())) {
            let problem = "it is too short for a database".to_owned();
            return Err(Error::Damaged {
                path: path.clone(),
                problem,
            });
        }
        // Of an empty file SQLite would remove the log, which may hold all that there is.
        if is_empty_file(folder) && check_remains().is_err() && is_empty_file(folder) {
            check_remains()?;
        }
        // SQLite writes a new index through memory, where a block that cannot be had ends the process.
        let is_short = || Space::of(folder.root()).is_some_and(reserve::is_needed);
        if !folder.database_index().exists() && is_short() {
            reserve::give_up(folder);
        }
        let mut connection = Connection::open(&path).map_err(&fail)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(&fail)?;
        schema::prepare(&mut connection, &path, check_remains)?;
        connection.set_prepared_statement_cache_capacity(64);
        reserve::ensure_blocks(folder);
        let records = Records::new(folder.records());
        if empty == Empty::Refused && records.are_alone(&connection).map_err(&fail)? {
            let remains = "its folder holds records of what was in it".to_owned();
            return Err(Error::Lost {
                path: path.clone(),
                remains,
            });
        }
        records.watch(&mut connection).map_err(&fail)?;
        Ok(Self {
            connection: Mutex::new(connection),
            folder: folder.clone(),
            records,
        })
    }

    /// Runs a question. It sees one state if it is one statement.
    pub(crate) fn read<T, E>(&self, ask: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        ask(&self.lock())
    }

    /// Runs reads and writes as one step that no other process interrupts; an error undoes all of them.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.commit(&mut self.lock(), change)
    }

    /// Does what [`Store::write`] does, and returns when this write and all before it are on the disk.
    pub(crate) fn write_durable<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "FULL")?;
        let outcome = self.commit(&mut connection, change);
        // A connection for which this fails is slower from now on, and no less right.
        connection.pragma_update(None, "synchronous", "NORMAL").ok();
        outcome
    }

    fn commit<T, E: From<rusqlite::Error>>(
        &self,
        connection: &mut Connection,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.keep_log_small(connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.records.forget_changes();
        let value = change(&transaction)?;
        let prepared = self.records.prepare(&transaction);
        transaction.commit().inspect_err(|error| {
            // Whoever tries again has the room.
            if is_full(error) {
                reserve::give_up(&self.folder);
            }
        })?;
        self.records.write(connection, prepared);
        Ok(value)
    }

    /// The records beside the database.
    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Writes the records that are missing: those of an older version, and what a crash took.
    pub(crate) fn complete_records(&self) -> rusqlite::Result<()> {
        let folder = &self.folder;
        self.records.complete(
            |ask| ask(&self.lock()),
            |kind, id| kind != "vm" || folder.vm(id).is_dir(),
        )
    }

    /// On a full disk, lets the log start again in the blocks that it has.
    fn keep_log_small(&self, connection: &Connection) {
        let Some(space) = Space::of(self.folder.root()).filter(|space| reserve::is_needed(*space))
        else {
            return;
        };
        let log = fs::metadata(self.folder.database_log());
        if log.is_ok_and(|log| log.len() > reserve::size_on(space) / 2) {
            // Where that fails the log goes on as it is.
            connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .unwrap_or_default();
        }
    }

    /// A thread that panicked left no half-made write: its transaction was rolled back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a database that may be damaged to see what can be read of it. Its rows are not changed.
pub(crate) fn open_damaged(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

fn is_empty_file(folder: &Folder) -> bool {
    fs::metadata(folder.database()).map_or_else(
        |error| error.kind() == std::io::ErrorKind::NotFound,
        |found| found.is_file() && found.len() == 0,
    )
}

/// Refuses an empty database where there are things that it should know.
fn check_remains(folder: &Folder) -> Result<(), Error> {
    let running = fastvm_sandbox::find_inits(folder.root())?.len();
    let remains = folder.remains().or(match running {
        0 => None,
        1 => Some("1 VM of it still runs".to_owned()),
        more => Some(format!("{more} VMs of it still run")),
    });
    match remains {
        None => Ok(()),
        Some(remains) => Err(Error::Lost {
            path: folder.database(),
            remains,
        }),
    }
}
