//! Rows of snapshots.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::json;
use fastvm_api::types::firewall::FirewallPolicy;
use fastvm_api::types::service::Service;
use fastvm_api::types::snapshot::{CREATING, ERROR, READY};
use fastvm_api::types::{EnvVars, Metadata};

/// A snapshot as it is known to the database.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vm_id: String,
    pub(crate) status: String,
    pub(crate) machine_type: String,
    pub(crate) cpu: i32,
    pub(crate) memory_mib: i64,
    pub(crate) disk_gib: i64,
    pub(crate) metadata: Metadata,
    pub(crate) env_vars: EnvVars,
    pub(crate) firewall: FirewallPolicy,
    pub(crate) services: Vec<Service>,
    pub(crate) created_at: String,
    /// Why it cannot be restored, for people.
    pub(crate) status_reason: String,
    /// While it is creating, the mount through which its data was written. Through another one it cannot be told
    /// whether all of it reached the disk.
    pub(crate) mount: String,
}

const COLUMNS: &str = "id, name, vm_id, status, machine_type, cpu, memory_mib, disk_gib, metadata, env_vars, \
                       firewall, created_at, services, status_reason, mount";

pub(crate) fn insert(connection: &Connection, snapshot: &SnapshotRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO snapshots({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
                     ?14, ?15)"
        ))?
        .execute(params![
            snapshot.id,
            snapshot.name,
            snapshot.vm_id,
            snapshot.status,
            snapshot.machine_type,
            snapshot.cpu,
            snapshot.memory_mib,
            snapshot.disk_gib,
            json::write(&snapshot.metadata)?,
            json::write(&snapshot.env_vars)?,
            json::write(&snapshot.firewall)?,
            snapshot.created_at,
            json::write(&snapshot.services)?,
            snapshot.status_reason,
            snapshot.mount,
        ])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<SnapshotRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM snapshots WHERE id = ?1"))?
        .query_row([id], read)
        .optional()
}

/// All snapshots in the order of their making.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<SnapshotRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM snapshots ORDER BY number"))?
        .query_map([], read)?
        .collect()
}

/// The snapshots whose data may not be on the disk yet, in the order of their making.
pub(crate) fn creating(connection: &Connection) -> rusqlite::Result<Vec<SnapshotRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM snapshots WHERE status = ?1 ORDER BY number"
        ))?
        .query_map([CREATING], read)?
        .collect()
}

/// Notes that a snapshot is on the disk, unless somebody noted before what has become of it.
pub(crate) fn set_ready(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE snapshots SET status = ?2, mount = '' WHERE id = ?1 AND status = ?3",
        )?
        .execute([id, READY, CREATING])?;
    Ok(())
}

/// Notes why a snapshot never became ready, unless somebody noted before what has become of it.
pub(crate) fn set_error(connection: &Connection, id: &str, reason: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE snapshots SET status = ?2, status_reason = ?3, mount = '' WHERE id = ?1 AND status = ?4",
        )?
        .execute([id, ERROR, reason, CREATING])?;
    Ok(())
}

pub(crate) fn set_name(connection: &Connection, id: &str, name: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE snapshots SET name = ?2 WHERE id = ?1")?
        .execute([id, name])?;
    Ok(())
}

pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM snapshots WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    Ok(SnapshotRow {
        id: row.get(0)?,
        name: row.get(1)?,
        vm_id: row.get(2)?,
        status: row.get(3)?,
        machine_type: row.get(4)?,
        cpu: row.get(5)?,
        memory_mib: row.get(6)?,
        disk_gib: row.get(7)?,
        metadata: json::read(row, 8)?,
        env_vars: json::read(row, 9)?,
        firewall: json::read(row, 10)?,
        created_at: row.get(11)?,
        services: json::read(row, 12)?,
        status_reason: row.get(13)?,
        mount: row.get(14)?,
    })
}
