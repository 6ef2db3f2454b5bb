//! When the TTLs of VMs act.
//!
//! A deadline is on the clock that counts since the boot of the computer, suspension included, and that nobody sets. It is
//! of the boot in `host_boot` of its row. `ttl_remaining_ms` is what was left when the VM began to run; after another boot
//! so much is left, counted from that boot: how much of it the last run took is not known.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};

use super::json;
use fastvm_api::types::vm::{Ttl, status};

/// The present time on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Unix time in milliseconds, to be shown: the clock may be set at any time.
    pub(crate) unix_ms: i64,
    /// Milliseconds since the boot of the computer.
    pub(crate) boot_ms: i64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let since_boot = clock_gettime(ClockId::Boottime);
        Self {
            unix_ms: Timestamp::now().as_millisecond(),
            boot_ms: since_boot.tv_sec * 1000 + since_boot.tv_nsec / 1_000_000,
        }
    }
}

/// A difference of the clocks that is no more than the time between reading the one and the other, in milliseconds.
const TOLERANCE_MS: i64 = 500;

/// When a deadline is in Unix time: as it was first told, unless the clock was set since.
fn shown(deadline_ms: i64, told_ms: i64, now: Moment) -> i64 {
    let computed = now
        .unix_ms
        .saturating_add(deadline_ms.saturating_sub(now.boot_ms));
    if computed.abs_diff(told_ms) <= TOLERANCE_MS.unsigned_abs() {
        told_ms
    } else {
        computed
    }
}

/// The expiry to show, from the columns `expires_at_ms` and `deadline_ms`.
pub(super) fn expiry(told_ms: Option<i64>, deadline_ms: Option<i64>) -> Option<i64> {
    match (told_ms, deadline_ms) {
        (Some(told), Some(deadline)) => Some(shown(deadline, told, Moment::now())),
        (told, _) => told,
    }
}

/// Gives a VM a TTL, or takes it away, and starts a full cycle: at once if the VM runs, else when it runs next.
pub(crate) fn set(
    connection: &Connection,
    id: &str,
    ttl: Option<&Ttl>,
    now: Moment,
) -> rusqlite::Result<()> {
    let cycle = ttl.map(|ttl| ttl.seconds * 1000);
    connection
        .prepare_cached(
            "UPDATE vms SET ttl = ?2, ttl_remaining_ms = ?3,
                expires_at_ms = CASE WHEN status = ?6 THEN ?4 + ?3 END,
                deadline_ms = CASE WHEN status = ?6 THEN ?5 + ?3 END
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            ttl.map(json::write).transpose()?,
            cycle,
            now.unix_ms,
            now.boot_ms,
            status::RUNNING
        ])?;
    Ok(())
}

/// Lets the time of a VM that begins to run count.
pub(crate) fn count(connection: &Connection, id: &str, now: Moment) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET expires_at_ms = ?2 + ttl_remaining_ms, deadline_ms = ?3 + ttl_remaining_ms WHERE id = ?1",
        )?
        .execute(params![id, now.unix_ms, now.boot_ms])?;
    Ok(())
}

/// Keeps what is left for a VM that no longer runs. `host_boot` is the present boot of the computer.
pub(crate) fn keep(
    connection: &Connection,
    id: &str,
    now: Moment,
    host_boot: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET
                ttl_remaining_ms = MAX(CASE WHEN host_boot = ?3 THEN deadline_ms ELSE ttl_remaining_ms END - ?2, 0),
                expires_at_ms = NULL, deadline_ms = NULL
             WHERE id = ?1 AND deadline_ms IS NOT NULL",
        )?
        .execute(params![id, now.boot_ms, host_boot])?;
    Ok(())
}

/// When the first TTL acts, in milliseconds since the boot of the computer.
pub(crate) fn next(connection: &Connection, host_boot: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT MIN(CASE WHEN host_boot = ?2 THEN deadline_ms ELSE ttl_remaining_ms END)
             FROM vms WHERE status = ?1 AND deadline_ms IS NOT NULL",
        )?
        .query_row([status::RUNNING, host_boot], |row| row.get(0))
}

/// The VMs whose time is over.
pub(crate) fn due(
    connection: &Connection,
    now: Moment,
    host_boot: &str,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT id FROM vms WHERE status = ?1 AND deadline_ms IS NOT NULL
                AND CASE WHEN host_boot = ?3 THEN deadline_ms ELSE ttl_remaining_ms END <= ?2",
        )?
        .query_map(params![status::RUNNING, now.boot_ms, host_boot], |row| {
            row.get(0)
        })?
        .collect()
}

/// Gives deadlines of an older version, which are in Unix time, their place on the other clock.
pub(super) fn adopt(connection: &Connection, now: Moment) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE vms SET deadline_ms = ?2 + MAX(expires_at_ms - ?1, 0), ttl_remaining_ms = MAX(expires_at_ms - ?1, 0)
         WHERE expires_at_ms IS NOT NULL AND deadline_ms IS NULL",
        params![now.unix_ms, now.boot_ms],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;
    use crate::store::Store;

    const TTL: i64 = 100_000;

    /// A database with one VM that runs, booted in the boot `one` and launched at a moment.
    fn with_vm(now: Moment) -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&Folder::open(home.path()).unwrap()).unwrap();
        let ttl = Ttl {
            action: "delete".to_owned(),
            seconds: TTL / 1000,
        };
        store
            .write(|transaction| {
                transaction.execute_batch(
                    "INSERT INTO vms(id, name, machine_type, source_name, cpu, memory_mib, disk_gib, status, status_reason,
                        halted, metadata, env_vars, firewall, upper, nonce, host_boot, created_at)
                     VALUES('a', '', '', '', 1, 1, 1, 'running', '', 0, '{}', '{}', '{}', '', '', 'one', '')",
                )?;
                set(transaction, "a", Some(&ttl), now)
            })
            .unwrap();
        (home, store)
    }

    const LAUNCH: Moment = Moment {
        unix_ms: 1_000_000,
        boot_ms: 5_000,
    };

    #[test]
    fn a_clock_that_is_set_fires_nothing_and_time_since_boot_does() {
        let (_home, store) = with_vm(LAUNCH);
        let due_at = |unix_ms, boot_ms| {
            let now = Moment { unix_ms, boot_ms };
            !store
                .read(|connection| due(connection, now, "one"))
                .unwrap()
                .is_empty()
        };
        for unix_ms in [i64::MIN / 2, -1, LAUNCH.unix_ms, i64::MAX / 2] {
            assert!(!due_at(unix_ms, LAUNCH.boot_ms + TTL - 1), "{unix_ms}");
            assert!(due_at(unix_ms, LAUNCH.boot_ms + TTL), "{unix_ms}");
        }
    }

    #[test]
    fn after_another_boot_what_was_left_counts_from_it() {
        let (_home, store) = with_vm(LAUNCH);
        let next = store.read(|connection| next(connection, "two")).unwrap();
        assert_eq!(next, Some(TTL));
        let now = Moment {
            unix_ms: 0,
            boot_ms: 1_000,
        };
        store
            .write(|transaction| keep(transaction, "a", now, "two"))
            .unwrap();
        let left: i64 = store
            .read(|connection| {
                connection.query_row("SELECT ttl_remaining_ms FROM vms", [], |row| row.get(0))
            })
            .unwrap();
        assert_eq!(left, TTL - 1_000);
    }

    #[test]
    fn a_deadline_is_shown_as_it_was_told_until_the_clock_is_set() {
        let told = LAUNCH.unix_ms + TTL;
        let deadline = LAUNCH.boot_ms + TTL;
        let at = |unix_ms, boot_ms| shown(deadline, told, Moment { unix_ms, boot_ms });
        assert_eq!(at(LAUNCH.unix_ms + 9_999, LAUNCH.boot_ms + 10_000), told);
        assert_eq!(at(-5_000, LAUNCH.boot_ms), TTL - 5_000);
    }

    #[test]
    fn a_deadline_of_an_older_version_is_taken_over() {
        let (_home, store) = with_vm(LAUNCH);
        let now = Moment {
            unix_ms: LAUNCH.unix_ms + 40_000,
            boot_ms: 900_000,
        };
        store
            .write(|transaction| {
                transaction.execute("UPDATE vms SET deadline_ms = NULL", [])?;
                adopt(transaction, now)
            })
            .unwrap();
        let next = store.read(|connection| next(connection, "one")).unwrap();
        assert_eq!(next, Some(now.boot_ms + TTL - 40_000));
    }
}
