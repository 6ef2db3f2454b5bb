//! The disks that VMs that run may fill: their own, and the volumes that they write to.

use rusqlite::{Connection, params};

use fastvm_api::types::vm::status;
use fastvm_api::types::volume::NATIVE;

/// A disk, and what it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskRow {
    /// The id of the VM or of the volume.
    pub(crate) id: String,
    /// What it is called.
    pub(crate) name: String,
    pub(crate) size_gib: i64,
    /// What it may take meanwhile, in bytes, if that is more than its size.
    pub(crate) grace_bytes: Option<i64>,
}

/// A VM that runs, with the layer that it writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningVm {
    pub(crate) disk: DiskRow,
    pub(crate) upper: String,
}

/// A native volume that VMs that run may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedVolume {
    pub(crate) disk: DiskRow,
    /// The ids of these VMs.
    pub(crate) vms: Vec<String>,
}

/// Returns whether a VM runs.
pub(crate) fn any_runs(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS(SELECT 1 FROM vms WHERE status = ?1)")?
        .query_row([status::RUNNING], |row| row.get(0))
}

/// All VMs that run.
pub(crate) fn running_vms(connection: &Connection) -> rusqlite::Result<Vec<RunningVm>> {
    connection
        .prepare_cached(
            "SELECT id, name, disk_gib, disk_grace_bytes, upper FROM vms WHERE status = ?1 ORDER BY number",
        )?
        .query_map([status::RUNNING], |row| {
            Ok(RunningVm {
                disk: DiskRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    size_gib: row.get(2)?,
                    grace_bytes: row.get(3)?,
                },
                upper: row.get(4)?,
            })
        })?
        .collect()
}

/// All native volumes that VMs that run may write to.
pub(crate) fn used_volumes(connection: &Connection) -> rusqlite::Result<Vec<UsedVolume>> {
    let mut uses = connection.prepare_cached(
        "SELECT volumes.id, volumes.name, volumes.size_gib, volumes.grace_bytes, vms.id
         FROM vms, json_each(vms.volumes) AS mount JOIN volumes ON volumes.id = mount.value ->> 'volumeId'
         WHERE vms.status = ?1 AND volumes.backend = ?2 AND NOT mount.value ->> 'readOnly'
         ORDER BY volumes.number, vms.number",
    )?;
    let mut rows = uses.query([status::RUNNING, NATIVE])?;
    let mut volumes: Vec<UsedVolume> = Vec::new();
    while let Some(row) = rows.next()? {
        let disk = DiskRow {
            id: row.get(0)?,
            name: row.get(1)?,
            size_gib: row.get::<_, Option<i64>>(2)?.unwrap_or(0),
            grace_bytes: row.get(3)?,
        };
        let vm = row.get(4)?;
        match volumes.last_mut() {
            Some(last) if last.disk.id == disk.id => last.vms.push(vm),
            _ => volumes.push(UsedVolume {
                disk,
                vms: vec![vm],
            }),
        }
    }
    Ok(volumes)
}

/// Sets what the disk of a VM may take meanwhile, in bytes.
pub(crate) fn set_vm_grace(
    connection: &Connection,
    id: &str,
    bytes: Option<i64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET disk_grace_bytes = ?2 WHERE id = ?1")?
        .execute(params![id, bytes])?;
    Ok(())
}

/// Sets what a volume may take meanwhile, in bytes.
pub(crate) fn set_volume_grace(
    connection: &Connection,
    id: &str,
    bytes: Option<i64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE volumes SET grace_bytes = ?2 WHERE id = ?1")?
        .execute(params![id, bytes])?;
    Ok(())
}

/// Says of a VM that is paused why it is.
pub(crate) fn set_pause_reason(
    connection: &Connection,
    id: &str,
    reason: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET status_reason = ?3 WHERE id = ?1 AND status = ?2")?
        .execute([id, status::PAUSED, reason])?;
    Ok(())
}

/// The names of paused VMs that have a reason for it, with the reason.
pub(crate) fn pause_reasons(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare_cached(
            "SELECT name, status_reason FROM vms WHERE status = ?1 AND status_reason <> '' ORDER BY number",
        )?
        .query_map([status::PAUSED], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
