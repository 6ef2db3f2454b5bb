//! Making a VM: from nothing, or from a snapshot.

use std::fs::File;

use rusqlite::Connection;
use uuid::Uuid;

use super::clock;
use super::machine_type::MachineType;
use super::machines::fresh_nonce;
use super::{Core, Error, attachments, firewall, labels, names, timers};
use crate::background::Background as _;
use crate::store::vms::VmRow;
use crate::store::{self, snapshots, stacks, vms};
use fastvm_api::types::quota::QuotaValues;
use fastvm_api::types::snapshot;
use fastvm_api::types::vm::{LaunchRequest, Vm, status};
use fastvm_sandbox::Booter;

/// The size of a disk that nobody gave a size, in GiB.
const DISK_GIB: i64 = 10;

/// The largest disk that may be asked for; keeps sums from overflowing.
const LARGEST_DISK_GIB: i64 = 1 << 20;

impl Core {
    /// Makes a VM and boots it. On failure nothing is left.
    pub(crate) fn launch(&self, request: &LaunchRequest) -> Result<Vm, Error> {
        check(request)?;
        let id = Uuid::new_v4().to_string();
        let booter = self.start_booter(&id)?;
        let (vm, layers, _lock) = self.add(request, id)?;
        let source = request.snapshot_id.as_deref().unwrap_or_default();
        let whole = self.check_layers(|| format!("cannot restore snapshot {source}"), &layers);
        match whole.and_then(|()| self.bring_up(booter, &vm, &layers)) {
            Ok(running) => Ok(self.describe(&running)),
            Err(error) => {
                // What cannot be undone here is found and undone at the next start.
                self.abandon(&vm).or_warn("undo a launch that failed");
                Err(attachments::explain(&vm, error))
            }
        }
    }

    /// Gives the VM its row, its stack and its lock in one step: what has a row but nobody who holds its lock was
    /// left by a process that died.
    fn add(
        &self,
        request: &LaunchRequest,
        id: String,
    ) -> Result<(VmRow, Vec<String>, File), Error> {
        self.store.write(|transaction| {
            let (vm, layers) = self.plan(transaction, request, id)?;
            self.check_quotas(transaction, &claim(&vm))?;
            vms::insert(transaction, &vm)?;
            stacks::set(transaction, &vm.id, &layers)?;
            let lock = self.make_lock(&vm.id)?;
            Ok((vm, layers, lock))
        })
    }

    /// What the VM will be.
    fn plan(
        &self,
        connection: &Connection,
        request: &LaunchRequest,
        id: String,
    ) -> Result<(VmRow, Vec<String>), Error> {
        let mut vm = VmRow {
            name: names::clean_or_default(request.name.as_deref(), "vm", &id)?,
            machine_type: String::new(),
            source_name: String::new(),
            cpu: 0,
            memory_mib: 0,
            disk_gib: DISK_GIB,
            status: status::PROVISIONING.to_owned(),
            status_reason: String::new(),
            halted: false,
            copying: false,
            booting: false,
            metadata: Default::default(),
            env_vars: Default::default(),
            firewall: firewall::default_policy(),
            services: Vec::new(),
            paused_at: None,
            pause_snapshot: None,
            volumes: attachments::plan(connection, request.volumes.as_deref().unwrap_or_default())?,
            ttl: request.ttl.clone(),
            expires_at_ms: None,
            ttl_remaining_ms: request.ttl.as_ref().map(|ttl| ttl.seconds * 1000),
            upper: Uuid::new_v4().to_string(),
            nonce: fresh_nonce(),
            host_boot: self.host_boot.clone(),
            created_at: clock::now(),
            id,
        };
        let mut layers = Vec::new();
        if let Some(id) = &request.snapshot_id {
            layers = inherit(connection, id, &mut vm)?;
        }
        if let Some(name) = &request.machine_type {
            let size = MachineType::parse(name)?;
            (vm.cpu, vm.memory_mib) = (size.cpu, size.memory_mib);
            vm.machine_type.clone_from(name);
        }
        if let Some(disk_gib) = request.disk_gib {
            vm.disk_gib = disk_gib;
        }
        if let Some(metadata) = &request.metadata {
            vm.metadata.clone_from(metadata);
        }
        if let Some(env_vars) = &request.env_vars {
            vm.env_vars.clone_from(env_vars);
        }
        if let Some(policy) = &request.firewall {
            vm.firewall.clone_from(policy);
        }
        Ok((vm, layers))
    }

    fn bring_up(&self, booter: Booter, vm: &VmRow, layers: &[String]) -> Result<VmRow, Error> {
        self.make_upper(&self.folder.layer(&vm.upper))?;
        self.boot(booter, vm, layers)?;
        let running = self.store.write(|transaction| {
            vms::set_status(transaction, &vm.id, status::RUNNING, "")?;
            store::timers::count(transaction, &vm.id, clock::moment())?;
            vms::get(transaction, &vm.id)?.ok_or_else(|| Error::no_vm(&vm.id))
        })?;
        self.keep_time(&running);
        Ok(running)
    }
}

/// What is taken over from a snapshot, and its layers.
fn inherit(connection: &Connection, id: &str, vm: &mut VmRow) -> Result<Vec<String>, Error> {
    let source = snapshots::get(connection, id)?.ok_or_else(|| Error::no_snapshot(id))?;
    if source.status != snapshot::READY {
        let reason = match source.status_reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        return Err(Error::Conflict(format!(
            "snapshot {id} is {}, not ready{reason}",
            source.status
        )));
    }
    vm.machine_type = source.machine_type;
    vm.source_name = source.name;
    vm.cpu = source.cpu;
    vm.memory_mib = source.memory_mib;
    vm.disk_gib = source.disk_gib;
    vm.metadata = source.metadata;
    vm.env_vars = source.env_vars;
    vm.firewall = source.firewall;
    vm.services = source.services;
    let layers = stacks::get(connection, id)?;
    if layers.is_empty() {
        return Err(Error::Conflict(format!(
            "cannot restore snapshot {id}: it has no layers"
        )));
    }
    Ok(layers)
}

fn check(request: &LaunchRequest) -> Result<(), Error> {
    match (&request.machine_type, &request.snapshot_id) {
        (Some(_), Some(_)) => return Err(invalid("give machineType or snapshotId, not both")),
        (None, None) => return Err(invalid("give machineType to boot or snapshotId to restore")),
        _ => {}
    }
    request.ttl.as_ref().map_or(Ok(()), timers::check)?;
    request
        .volumes
        .as_deref()
        .map_or(Ok(()), attachments::check)?;
    if request
        .disk_gib
        .is_some_and(|size| !(1..=LARGEST_DISK_GIB).contains(&size))
    {
        return Err(invalid(&format!("diskGiB is not 1 to {LARGEST_DISK_GIB}")));
    }
    request
        .metadata
        .as_ref()
        .map_or(Ok(()), labels::check_metadata)?;
    request
        .env_vars
        .as_ref()
        .map_or(Ok(()), labels::check_env_vars)?;
    request.firewall.as_ref().map_or(Ok(()), firewall::check)
}

/// What a running VM takes of the quotas.
pub(super) fn claim(vm: &VmRow) -> QuotaValues {
    QuotaValues {
        vcpu: vm.cpu.into(),
        memory_mib: vm.memory_mib,
        disk_gib: vm.disk_gib,
        ..QuotaValues::default()
    }
}

fn invalid(message: &str) -> Error {
    Error::Invalid(message.to_owned())
}
