//! Looking at VMs, changing and deleting them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::vm_lock::{VmLock, VmLocks};
use super::{Core, Error, attachments, clock, firewall, labels, names, timers};
use crate::background::Background as _;
use crate::store::vms::VmRow;
use crate::store::{self, blobs, stacks, vms};
use fastvm_api::types::Deleted;
use fastvm_api::types::vm::{UpdateVmRequest, Vm, status};

/// Which VMs to list. Everything given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VmFilter {
    pub(crate) status: Option<String>,
    /// Labels that must be there with these values.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl VmFilter {
    fn takes(&self, vm: &VmRow) -> bool {
        self.status
            .as_ref()
            .is_none_or(|status| *status == vm.status)
            && self
                .metadata
                .iter()
                .all(|(key, value)| vm.metadata.get(key) == Some(value))
    }
}

impl Core {
    /// The VMs that a filter takes, in the order of launch.
    pub(crate) fn list_vms(&self, filter: &VmFilter) -> Result<Vec<Vm>, Error> {
        // What cannot be done now is tried again, and is no reason not to look.
        self.act_on_due().or_warn("act on what is due");
        let mut found = Vec::new();
        for vm in self.store.read(vms::all)? {
            let vm = match self.looked_after(vm) {
                Err(Error::NotFound { .. }) => continue,
                other => other?,
            };
            if filter.takes(&vm) {
                found.push(self.describe(&vm));
            }
        }
        Ok(found)
    }

    /// One VM.
    pub(crate) fn get_vm(&self, id: &str) -> Result<Vm, Error> {
        // What cannot be done now is tried again, and is no reason not to look.
        self.act_on_due().or_warn("act on what is due");
        let vm = self.looked_after(self.vm_row(id)?)?;
        Ok(self.describe(&vm))
    }

    /// Changes what is given.
    pub(crate) fn update_vm(&self, id: &str, change: &UpdateVmRequest) -> Result<Vm, Error> {
        if change.name.is_none() && change.metadata.is_none() && change.ttl.is_none() {
            return Err(Error::Invalid(
                "nothing to change: give name, metadata or ttl".to_owned(),
            ));
        }
        if let Some(Some(ttl)) = &change.ttl {
            timers::check(ttl)?;
        }
        let name = change.name.as_deref().map(names::clean_new).transpose()?;
        change
            .metadata
            .as_ref()
            .map_or(Ok(()), labels::check_metadata)?;
        let vm = self.store.write(|transaction| {
            if let Some(name) = &name {
                vms::set_name(transaction, id, name)?;
            }
            if let Some(metadata) = &change.metadata {
                vms::set_metadata(transaction, id, metadata)?;
            }
            if let Some(ttl) = &change.ttl {
                store::timers::set(transaction, id, ttl.as_ref(), clock::moment())?;
            }
            vms::get(transaction, id)?.ok_or_else(|| Error::no_vm(id))
        })?;
        self.keep_time(&vm);
        Ok(self.describe(&vm))
    }

    /// Kills a VM and removes all that it had. Its disk goes in the background.
    pub(crate) fn delete_vm(&self, id: &str) -> Result<Deleted, Error> {
        let held = self.hold(id, VmLocks::Alone)?;
        self.delete_held(&held)?;
        Ok(Deleted {
            id: id.to_owned(),
            deleted: Some(true),
        })
    }

    pub(super) fn delete_held(&self, held: &VmLock) -> Result<(), Error> {
        let note = || {
            let set = |transaction: &rusqlite::Transaction<'_>| {
                vms::set_status(transaction, &held.vm.id, status::DELETING, "")
            };
            Ok(self.store.write(set).map(drop)?)
        };
        self.with_room(&held.vm, note)?;
        self.with_room(&held.vm, || self.abandon(&held.vm))
    }

    /// Does what needs a little room on the disk. If there is none, ends the VM and frees its disk first: others may take
    /// whatever becomes free.
    fn with_room(&self, vm: &VmRow, work: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
        match work() {
            Err(Error::Store(error)) if crate::is_full(&error) => {
                self.end_machine(vm)?;
                self.host.remove_tree(&self.folder.layer(&vm.upper))?;
                work()
            }
            other => other,
        }
    }

    /// Kills a VM that is held and removes all that it had: first what makes it exist, then what it took.
    pub(super) fn abandon(&self, vm: &VmRow) -> Result<(), Error> {
        self.end_machine(vm)?;
        let (layers, blobs) = self.store.write(|transaction| {
            vms::remove(transaction, &vm.id)?;
            let upper = std::slice::from_ref(&vm.upper);
            let layers = stacks::remove(transaction, &vm.id, upper)?;
            Ok::<_, Error>((layers, blobs::remove_of_vm(transaction, &vm.id)?))
        })?;
        self.throw(&self.folder.vm(&vm.id))?;
        layers
            .iter()
            .try_for_each(|layer| self.throw(&self.folder.layer(layer)))?;
        blobs
            .iter()
            .try_for_each(|blob| self.throw(&self.folder.blob(blob)))
    }

    fn end_machine(&self, vm: &VmRow) -> Result<(), Error> {
        match self.connect(vm) {
            Ok(known) => known.machine.kill()?,
            Err(Error::Sandbox(fastvm_sandbox::Error::Gone)) => {}
            Err(error) => return Err(error),
        }
        self.machines.forget(&vm.id);
        self.host.remove_traces(&self.folder.vm(&vm.id));
        Ok(())
    }

    /// The VM with a status that is true now: a machine may have ended without us.
    fn looked_after(&self, vm: VmRow) -> Result<VmRow, Error> {
        if !has_machine(&vm) || self.is_alive(&vm)? {
            return Ok(vm);
        }
        // Whoever holds it may be booting it anew, and will set the status then.
        let Some(held) = self.try_hold(&vm.id)? else {
            return Ok(vm);
        };
        if has_machine(&held.vm) && !self.is_alive(&held.vm)? {
            self.note_gone(&held.vm)?;
        }
        self.vm_row(&vm.id)
    }

    /// A VM as the contract shows it.
    pub(super) fn describe(&self, vm: &VmRow) -> Vm {
        Vm {
            id: vm.id.clone(),
            name: Some(vm.name.clone()),
            org_id: Some(self.org_id.clone()),
            machine_name: Some(vm.machine_type.clone()),
            source_name: Some(vm.source_name.clone()),
            firewall: Some(vm.firewall.clone().into()),
            effective_firewall: Some(firewall::effective(vm).into()),
            metadata: Some(vm.metadata.clone()),
            env_vars: Some(vm.env_vars.clone()),
            volumes: Some(attachments::describe(vm)),
            public_ipv6: Uuid::try_parse(&vm.id).ok().map(private_address),
            cpu: Some(vm.cpu),
            memory_mib: Some(vm.memory_mib),
            disk_gib: Some(vm.disk_gib),
            status: Some(vm.status.clone()),
            created_at: Some(vm.created_at.clone()),
            deleted_at: None,
            paused_at: vm.paused_at.clone(),
            ttl: vm.ttl.clone(),
            expires_at_ms: vm.expires_at_ms.filter(|_| vm.status == status::RUNNING),
            ttl_remaining_ms: vm.ttl_remaining_ms.filter(|_| vm.status == status::PAUSED),
            snapshot_restore_warnings: None,
        }
    }
}

/// Returns whether its status says that there is a machine.
fn has_machine(vm: &VmRow) -> bool {
    [status::RUNNING, status::PAUSED].contains(&vm.status.as_str())
}

/// An address of the private range `fd00::/8` that is the VM's own and stays. Nothing routes it: it only tells.
fn private_address(id: Uuid) -> String {
    let mut bytes = [0xfd; 16];
    bytes[1..].copy_from_slice(&id.as_bytes()[..15]);
    std::net::Ipv6Addr::from(bytes).to_string()
}
