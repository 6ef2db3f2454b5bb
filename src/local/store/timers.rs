//! When the TTLs of VMs act.

use rusqlite::{Connection, params};

use super::json;
use crate::wire::vm::{Ttl, status};

/// Gives a VM a TTL, or takes it away, and starts a full cycle: at once if the VM runs, else when it runs next.
pub(crate) fn set(
    connection: &Connection,
    id: &str,
    ttl: Option<&Ttl>,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let cycle = ttl.map(|ttl| ttl.seconds * 1000);
    connection
        .prepare_cached(
            "UPDATE vms SET ttl = ?2,
                expires_at_ms = CASE WHEN status = ?5 THEN ?4 + ?3 END,
                ttl_remaining_ms = CASE WHEN status <> ?5 THEN ?3 END
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            ttl.map(json::write).transpose()?,
            cycle,
            now_ms,
            status::RUNNING
        ])?;
    Ok(())
}

/// Lets the time of a VM that begins to run count.
pub(crate) fn count(connection: &Connection, id: &str, now_ms: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET expires_at_ms = ?2 + ttl_remaining_ms, ttl_remaining_ms = NULL WHERE id = ?1",
        )?
        .execute(params![id, now_ms])?;
    Ok(())
}

/// Keeps what is left for a VM that no longer runs.
pub(crate) fn keep(connection: &Connection, id: &str, now_ms: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET ttl_remaining_ms = MAX(expires_at_ms - ?2, 0), expires_at_ms = NULL
             WHERE id = ?1 AND expires_at_ms IS NOT NULL",
        )?
        .execute(params![id, now_ms])?;
    Ok(())
}

/// When the first TTL acts, in Unix milliseconds.
pub(crate) fn next(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT MIN(expires_at_ms) FROM vms WHERE status = ?1")?
        .query_row([status::RUNNING], |row| row.get(0))
}

/// The VMs whose time is over.
pub(crate) fn due(connection: &Connection, now_ms: i64) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT id FROM vms WHERE status = ?1 AND expires_at_ms <= ?2")?
        .query_map(params![status::RUNNING, now_ms], |row| row.get(0))?
        .collect()
}
