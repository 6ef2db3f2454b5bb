//! Rows of VMs.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::volumes::Attachment;
use super::{json, timers};
use fastvm_api::types::firewall::FirewallPolicy;
use fastvm_api::types::service::Service;
use fastvm_api::types::vm::{Ttl, status};
use fastvm_api::types::{EnvVars, Metadata};

/// A VM as it is known to the database.
#[derive(Clone, Debug)]
pub(crate) struct VmRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) machine_type: String,
    pub(crate) source_name: String,
    pub(crate) cpu: i32,
    pub(crate) memory_mib: i64,
    pub(crate) disk_gib: i64,
    pub(crate) status: String,
    /// Why it is not running, for people.
    pub(crate) status_reason: String,
    /// Whether its processes may be held by a snapshot that is being made, or was when its maker died.
    pub(crate) halted: bool,
    /// Whether a copy of its upper, or its next upper, is being made in its folder, or was when its maker died.
    pub(crate) copying: bool,
    /// Whether it is getting another machine, or was when the process died that did it.
    pub(crate) booting: bool,
    pub(crate) metadata: Metadata,
    pub(crate) env_vars: EnvVars,
    pub(crate) firewall: FirewallPolicy,
    /// Sorted by name.
    pub(crate) services: Vec<Service>,
    /// When it was paused, if it is.
    pub(crate) paused_at: Option<String>,
    /// The snapshot that was made in this pause.
    pub(crate) pause_snapshot: Option<String>,
    /// What is mounted in it, in the order of the launch.
    pub(crate) volumes: Vec<Attachment>,
    pub(crate) ttl: Option<Ttl>,
    /// When the TTL acts, in Unix milliseconds, while the VM runs.
    pub(crate) expires_at_ms: Option<i64>,
    /// What is left of the cycle, in milliseconds, while the VM does not run; what was left when it began to, while it does.
    pub(crate) ttl_remaining_ms: Option<i64>,
    /// The layer that it writes to.
    pub(crate) upper: String,
    /// Tells one boot of the VM from another.
    pub(crate) nonce: String,
    /// The boot of the host during which the VM was booted.
    pub(crate) host_boot: String,
    pub(crate) created_at: String,
}

impl VmRow {
    /// Returns whether what a verb began must be finished or undone before the VM can be used. Who holds the VM knows that the
    /// process of that verb is dead.
    pub(crate) fn needs_recovery_to_run(&self) -> bool {
        self.halted || self.booting
    }

    /// Returns whether a verb began something that must be finished or undone.
    pub(crate) fn needs_recovery(&self) -> bool {
        self.needs_recovery_to_run() || self.copying
    }
}

const COLUMNS: &str = "id, name, machine_type, source_name, cpu, memory_mib, disk_gib, status, status_reason, halted, \
                       metadata, env_vars, firewall, upper, nonce, host_boot, created_at, services, \
                       paused_at, pause_snapshot, ttl, expires_at_ms, ttl_remaining_ms, volumes, copying, booting";

pub(crate) fn insert(connection: &Connection, vm: &VmRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO vms({COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
                     ?25, ?26)"
        ))?
        .execute(params![
            vm.id,
            vm.name,
            vm.machine_type,
            vm.source_name,
            vm.cpu,
            vm.memory_mib,
            vm.disk_gib,
            vm.status,
            vm.status_reason,
            vm.halted,
            json::write(&vm.metadata)?,
            json::write(&vm.env_vars)?,
            json::write(&vm.firewall)?,
            vm.upper,
            vm.nonce,
            vm.host_boot,
            vm.created_at,
            json::write(&vm.services)?,
            vm.paused_at,
            vm.pause_snapshot,
            vm.ttl.as_ref().map(json::write).transpose()?,
            vm.expires_at_ms,
            vm.ttl_remaining_ms,
            json::write(&vm.volumes)?,
            vm.copying,
            vm.booting,
        ])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<VmRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, deadline_ms FROM vms WHERE id = ?1"
        ))?
        .query_row([id], read)
        .optional()
}

/// All VMs in the order of their launch.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<VmRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, deadline_ms FROM vms ORDER BY number"
        ))?
        .query_map([], read)?
        .collect()
}

/// The ids of all VMs.
pub(crate) fn ids(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT id FROM vms")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Sets the status, with the reason if it is not a good one. Says whether there is such a VM.
pub(crate) fn set_status(
    connection: &Connection,
    id: &str,
    status: &str,
    reason: &str,
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE vms SET status = ?2, status_reason = ?3 WHERE id = ?1")?
        .execute(params![id, status, reason])?;
    Ok(changed == 1)
}

/// Notes that a boot came to its end, unless the VM was booted again or is being deleted. Says whether it did.
pub(crate) fn set_stopped(
    connection: &Connection,
    id: &str,
    nonce: &str,
    reason: &str,
) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE vms SET status = ?3, status_reason = ?4, halted = 0, booting = 0, paused_at = NULL,
                pause_snapshot = NULL
             WHERE id = ?1 AND nonce = ?2 AND status IN (?5, ?6)",
        )?
        .execute(params![
            id,
            nonce,
            status::STOPPED,
            reason,
            status::RUNNING,
            status::PAUSED
        ])?;
    Ok(changed == 1)
}

/// Notes that all processes of a VM are held until it is resumed.
pub(crate) fn set_paused(connection: &Connection, id: &str, now: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET status = ?2, status_reason = '', halted = 0, paused_at = ?3, pause_snapshot = NULL
             WHERE id = ?1",
        )?
        .execute([id, status::PAUSED, now])?;
    Ok(())
}

/// Notes that a VM runs, although its processes may still be held.
pub(crate) fn set_resumed(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET status = ?2, status_reason = '', halted = 1, paused_at = NULL, pause_snapshot = NULL
             WHERE id = ?1",
        )?
        .execute([id, status::RUNNING])?;
    Ok(())
}

pub(crate) fn set_pause_snapshot(
    connection: &Connection,
    id: &str,
    snapshot: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET pause_snapshot = ?2 WHERE id = ?1")?
        .execute([id, snapshot])?;
    Ok(())
}

pub(crate) fn set_halted(connection: &Connection, id: &str, halted: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET halted = ?2 WHERE id = ?1")?
        .execute(params![id, halted])?;
    Ok(())
}

/// Notes whether a tree is being made in the folder of a VM.
pub(crate) fn set_copying(
    connection: &Connection,
    id: &str,
    copying: bool,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET copying = ?2 WHERE id = ?1")?
        .execute(params![id, copying])?;
    Ok(())
}

/// Notes that a VM gets another machine during this boot of the host.
pub(crate) fn set_booting(
    connection: &Connection,
    id: &str,
    host_boot: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET booting = 1, host_boot = ?2 WHERE id = ?1")?
        .execute([id, host_boot])?;
    Ok(())
}

/// Notes that no verb is at work on a VM any more.
pub(crate) fn set_finished(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET halted = 0, copying = 0, booting = 0 WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// The VMs that a verb is at work on, or was when its process died, in the order of their launch.
pub(crate) fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT id FROM vms WHERE status IN (?1, ?2) OR halted OR copying OR booting ORDER BY number",
        )?
        .query_map([status::PROVISIONING, status::DELETING], |row| row.get(0))?
        .collect()
}

/// Notes a new boot, before it happens.
pub(crate) fn set_boot(connection: &Connection, vm: &VmRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE vms SET upper = ?2, nonce = ?3, host_boot = ?4, halted = 0 WHERE id = ?1",
        )?
        .execute(params![vm.id, vm.upper, vm.nonce, vm.host_boot])?;
    Ok(())
}

pub(crate) fn set_name(connection: &Connection, id: &str, name: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET name = ?2 WHERE id = ?1")?
        .execute([id, name])?;
    Ok(())
}

pub(crate) fn set_metadata(
    connection: &Connection,
    id: &str,
    metadata: &Metadata,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET metadata = ?2 WHERE id = ?1")?
        .execute(params![id, json::write(metadata)?])?;
    Ok(())
}

pub(crate) fn set_firewall(
    connection: &Connection,
    id: &str,
    policy: &FirewallPolicy,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET firewall = ?2 WHERE id = ?1")?
        .execute(params![id, json::write(policy)?])?;
    Ok(())
}

/// Sets the services, sorted by name.
pub(crate) fn set_services(
    connection: &Connection,
    id: &str,
    services: &[Service],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET services = ?2 WHERE id = ?1")?
        .execute(params![id, json::write(&services)?])?;
    Ok(())
}

pub(crate) fn set_volumes(
    connection: &Connection,
    id: &str,
    volumes: &[Attachment],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE vms SET volumes = ?2 WHERE id = ?1")?
        .execute(params![id, json::write(&volumes)?])?;
    Ok(())
}

/// The VMs that a volume is mounted in, in the order of their launch.
pub(crate) fn with_volume(connection: &Connection, volume: &str) -> rusqlite::Result<Vec<VmRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, deadline_ms FROM vms
             WHERE EXISTS(SELECT 1 FROM json_each(volumes) WHERE value ->> 'volumeId' = ?1) ORDER BY number"
        ))?
        .query_map([volume], read)?
        .collect()
}

pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM vms WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<VmRow> {
    Ok(VmRow {
        id: row.get(0)?,
        name: row.get(1)?,
        machine_type: row.get(2)?,
        source_name: row.get(3)?,
        cpu: row.get(4)?,
        memory_mib: row.get(5)?,
        disk_gib: row.get(6)?,
        status: row.get(7)?,
        status_reason: row.get(8)?,
        halted: row.get(9)?,
        metadata: json::read(row, 10)?,
        env_vars: json::read(row, 11)?,
        firewall: json::read(row, 12)?,
        upper: row.get(13)?,
        nonce: row.get(14)?,
        host_boot: row.get(15)?,
        created_at: row.get(16)?,
        services: json::read(row, 17)?,
        paused_at: row.get(18)?,
        pause_snapshot: row.get(19)?,
        ttl: json::read_optional(row, 20)?,
        expires_at_ms: timers::expiry(row.get(21)?, row.get("deadline_ms")?),
        ttl_remaining_ms: row.get(22)?,
        volumes: json::read(row, 23)?,
        copying: row.get(24)?,
        booting: row.get(25)?,
    })
}
