//! The machine behind a VM: booting one, and finding it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::guest_listeners::OpenListeners;
use super::vm_lock::VmLock;
use super::{Core, Error, clock};
use crate::store::timers;
use crate::store::vms::{self, VmRow};
use fastvm_api::types::vm::status;
use fastvm_sandbox::{self, BootSpec, Booter, Machine};

/// The machines that this process has talked to, by VM.
#[derive(Debug, Default)]
pub(super) struct Machines {
    known: Mutex<HashMap<String, Arc<Known>>>,
}

/// A machine, the boot that it is, and our doors in it.
#[derive(Debug)]
pub(super) struct Known {
    nonce: String,
    pub(super) machine: Machine,
    pub(super) listeners: OpenListeners,
}

impl Machines {
    fn get(&self, vm: &VmRow) -> Option<Arc<Known>> {
        self.lock()
            .get(&vm.id)
            .filter(|known| known.nonce == vm.nonce)
            .cloned()
    }

    fn put(&self, vm: &VmRow, machine: Machine) -> Arc<Known> {
        let known = Arc::new(Known {
            nonce: vm.nonce.clone(),
            machine,
            listeners: OpenListeners::default(),
        });
        self.lock().insert(vm.id.clone(), known.clone());
        known
    }

    pub(super) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn all(&self) -> Vec<(String, Arc<Known>)> {
        self.lock()
            .iter()
            .map(|(id, known)| (id.clone(), known.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Starts the process that will boot a VM, which is done before what else there is to do for it.
    pub(super) fn start_booter(&self, id: &str) -> Result<Booter, Error> {
        Ok(self.host.start_booter(parse_id(id)?)?)
    }

    /// Boots a VM on its upper and layers. The row must already have this boot's nonce, so that nobody loses the
    /// machine if this process dies.
    pub(super) fn boot(
        &self,
        booter: Booter,
        vm: &VmRow,
        layers: &[String],
    ) -> Result<Arc<Known>, Error> {
        let folder = self.folder.vm(&vm.id);
        let volumes = self.mounts(vm);
        for volume in &volumes {
            self.host.convert_volume(&volume.source)?;
        }
        let spec = BootSpec {
            id: parse_id(&vm.id)?,
            nonce: parse_id(&vm.nonce)?,
            hostname: host_name(vm),
            run: folder.clone(),
            layers: layers
                .iter()
                .map(|layer| self.folder.layer(layer))
                .collect(),
            upper: self.folder.layer(&vm.upper),
            work: folder.join(format!("work-{}", vm.nonce)),
            volumes,
            cpus: u32::try_from(vm.cpu).unwrap_or(1),
            memory_mib: u64::try_from(vm.memory_mib).unwrap_or(1024),
        };
        let machine = self.host.boot_with(booter, &spec)?;
        Ok(self.machines.put(vm, machine))
    }

    /// The machine of a VM that must be running, with our doors in it. Notes it when it is not running any more.
    pub(super) fn machine(&self, held: &VmLock) -> Result<Arc<Known>, Error> {
        let vm = &held.vm;
        if vm.status != status::RUNNING {
            return Err(not_running(vm));
        }
        let known = match self.connect(vm) {
            Err(Error::Sandbox(fastvm_sandbox::Error::Gone)) => return Err(self.note_gone(vm)?),
            other => other?,
        };
        if vm.halted {
            // Whoever made a snapshot of it died meanwhile: nobody can hold the VM alone while we hold it.
            known.machine.continue_all()?;
            self.store
                .write(|transaction| vms::set_halted(transaction, &vm.id, false))?;
        }
        self.open_doors(&vm.id, &known);
        Ok(known)
    }

    /// The machine of a boot, whatever the status says.
    pub(super) fn connect(&self, vm: &VmRow) -> Result<Arc<Known>, Error> {
        match self.machines.get(vm) {
            Some(known) => Ok(known),
            None => Ok(self.machines.put(vm, self.find(vm)?)),
        }
    }

    /// Returns whether the machine of a VM is there now. Nothing inside can delay the answer.
    pub(super) fn is_alive(&self, vm: &VmRow) -> Result<bool, Error> {
        if self.host.is_in_use(&self.folder.layer(&vm.upper))? {
            return Ok(true);
        }
        // One that an earlier version booted does not lock its disk.
        let (id, nonce) = (parse_id(&vm.id)?, parse_id(&vm.nonce)?);
        Ok(Machine::is_there(&self.folder.vm(&vm.id), id, nonce)?)
    }

    /// Lets go of machines that other processes ended or replaced: our doors would keep their networks alive.
    pub(crate) fn forget_dead_machines(&self) {
        for (id, known) in self.machines.all() {
            if matches!(known.machine.is_gone(), Ok(true)) {
                self.machines.forget(&id);
            }
        }
    }

    fn find(&self, vm: &VmRow) -> Result<Machine, Error> {
        Ok(Machine::connect(
            &self.folder.vm(&vm.id),
            parse_id(&vm.id)?,
            parse_id(&vm.nonce)?,
        )?)
    }

    /// Notes that a machine ended without us, and gives the error that says so.
    pub(super) fn note_gone(&self, vm: &VmRow) -> Result<Error, Error> {
        self.machines.forget(&vm.id);
        self.host.remove_traces(&self.folder.vm(&vm.id));
        let reason = if vm.host_boot == self.host_boot {
            "its machine ended; the disk is kept"
        } else {
            "the computer was started anew since; the disk is kept, but may lack the last writes"
        };
        self.note_stopped(vm, reason)?;
        let stopped = VmRow {
            status: status::STOPPED.to_owned(),
            status_reason: reason.to_owned(),
            ..vm.clone()
        };
        Ok(not_running(&stopped))
    }

    /// Notes that a boot came to its end, and what is left of the TTL.
    pub(super) fn note_stopped(&self, vm: &VmRow, reason: &str) -> Result<(), Error> {
        self.store.write(|transaction| {
            if vms::set_stopped(transaction, &vm.id, &vm.nonce, reason)? {
                timers::keep(transaction, &vm.id, clock::moment(), &self.host_boot)?;
            }
            Ok(())
        })
    }
}

fn not_running(vm: &VmRow) -> Error {
    let reason = match vm.status_reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    Error::Conflict(format!(
        "vm {} is {}, not running{reason}",
        vm.id, vm.status
    ))
}

/// A new boot must not be taken for the last one.
pub(super) fn fresh_nonce() -> String {
    Uuid::new_v4().to_string()
}

fn parse_id(id: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(id)
        .map_err(|error| Error::Broken(format!("{id:?} in the state is not an id: {error}")))
}

/// The name in letters, digits and hyphens, as a host may be called; the id says more than nothing.
fn host_name(vm: &VmRow) -> String {
    let name: String = vm
        .name
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    match name.trim_matches('-') {
        "" => format!("vm-{}", vm.id.get(..8).unwrap_or(&vm.id)),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_no_odd_characters() {
        let row = |name: &str| VmRow {
            id: "0123456789".to_owned(),
            name: name.to_owned(),
            machine_type: String::new(),
            source_name: String::new(),
            cpu: 1,
            memory_mib: 1,
            disk_gib: 1,
            status: String::new(),
            status_reason: String::new(),
            halted: false,
            copying: false,
            booting: false,
            metadata: Default::default(),
            env_vars: Default::default(),
            firewall: super::super::firewall::default_policy(),
            services: Vec::new(),
            paused_at: None,
            pause_snapshot: None,
            volumes: Vec::new(),
            ttl: None,
            expires_at_ms: None,
            ttl_remaining_ms: None,
            upper: String::new(),
            nonce: String::new(),
            host_boot: String::new(),
            created_at: String::new(),
        };
        assert_eq!(host_name(&row("My dev_box ")), "my-dev-box");
        assert_eq!(host_name(&row("ü")), "vm-01234567");
    }
}
