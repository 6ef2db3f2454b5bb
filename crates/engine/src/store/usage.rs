//! What is in use, counted from the rows.

use rusqlite::Connection;

use fastvm_api::types::quota::QuotaValues;

/// Sums what all VMs, snapshots and volumes use.
///
/// A VM that does not run uses no processors and no memory; a paused one no disk either, as the contract says.
pub(crate) fn sum(connection: &Connection) -> rusqlite::Result<QuotaValues> {
    let mut usage = connection
        .prepare_cached(
            "SELECT
                COALESCE(SUM(cpu) FILTER (WHERE status IN ('provisioning', 'running', 'pausing', 'resuming')), 0),
                COALESCE(SUM(memory_mib) FILTER (WHERE status IN ('provisioning', 'running', 'pausing', 'resuming')), 0),
                COALESCE(SUM(disk_gib) FILTER (WHERE status NOT IN ('paused', 'deleting')), 0)
             FROM vms",
        )?
        .query_row([], |row| {
            Ok(QuotaValues {
                vcpu: row.get(0)?,
                memory_mib: row.get(1)?,
                disk_gib: row.get(2)?,
                ..QuotaValues::default()
            })
        })?;
    usage.snapshot_count = connection
        .prepare_cached("SELECT COUNT(*) FROM snapshots")?
        .query_row([], |row| row.get(0))?;
    (usage.volume_count, usage.volume_gib) = connection
        .prepare_cached("SELECT COUNT(*), COALESCE(SUM(size_gib), 0) FROM volumes")?
        .query_row([], |row| Ok((Some(row.get(0)?), Some(row.get(1)?))))?;
    Ok(usage)
}
