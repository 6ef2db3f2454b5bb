//! Pausing and resuming: all processes of a VM stop where they are, and go on from there.

use super::launch::claim;
use super::vm_lock::{VmLock, VmLocks};
use super::{Core, Error, clock};
use crate::store::vms::{self, VmRow};
use crate::store::{stacks, timers};
use fastvm_api::types::quota::QuotaValues;
use fastvm_api::types::vm::{Vm, status};

impl Core {
    /// Stops all processes of a VM and gives back what it takes of the quotas. A paused one stays as it is.
    pub(crate) fn pause_vm(&self, id: &str) -> Result<Vm, Error> {
        let held = self.hold(id, VmLocks::Alone)?;
        if held.vm.status != status::PAUSED {
            self.pause_held(&held)?;
        }
        Ok(self.describe(&self.vm_row(id)?))
    }

    pub(super) fn pause_held(&self, held: &VmLock) -> Result<(), Error> {
        let id = &held.vm.id;
        let known = self.machine(held)?;
        // Noted first: if this process dies in between, the next one that uses the VM lets it go on.
        self.store
            .write(|transaction| vms::set_halted(transaction, id, true))?;
        if let Err(error) = known.machine.stop_all() {
            known.machine.continue_all()?;
            self.store
                .write(|transaction| vms::set_halted(transaction, id, false))?;
            return Err(error.into());
        }
        self.store.write(|transaction| {
            vms::set_paused(transaction, id, &clock::now())?;
            Ok::<_, Error>(timers::keep(
                transaction,
                id,
                clock::moment(),
                &self.host_boot,
            )?)
        })?;
        Ok(())
    }

    /// Lets the processes of a paused VM go on, and boots a stopped one on its disk. A running one stays as it is.
    pub(crate) fn resume_vm(&self, id: &str) -> Result<Vm, Error> {
        let held = self.hold(id, VmLocks::Alone)?;
        match held.vm.status.as_str() {
            status::RUNNING => {}
            status::PAUSED => self.go_on(&held)?,
            // The row may be wrong, and two machines on one disk would destroy it.
            status::STOPPED if self.is_alive(&held.vm)? => self.go_on(&held)?,
            status::STOPPED => self.start_again(&held.vm)?,
            other => {
                return Err(Error::Conflict(format!(
                    "vm {id} is {other}, not paused or stopped"
                )));
            }
        }
        let vm = self.vm_row(id)?;
        self.keep_time(&vm);
        Ok(self.describe(&vm))
    }

    fn go_on(&self, held: &VmLock) -> Result<(), Error> {
        let vm = &held.vm;
        if !self.is_alive(vm)? {
            return Err(self.note_gone(vm)?);
        }
        // Noted first, and as halted: if this process dies here, the next one that uses the VM lets it go on.
        self.store.write(|transaction| {
            self.check_quotas(transaction, &claim(vm))?;
            vms::set_resumed(transaction, &vm.id)?;
            Ok::<_, Error>(timers::count(transaction, &vm.id, clock::moment())?)
        })?;
        let known = self.connect(vm)?;
        known.machine.continue_all()?;
        self.store
            .write(|transaction| vms::set_halted(transaction, &vm.id, false))?;
        self.open_doors(&vm.id, &known);
        Ok(())
    }

    fn start_again(&self, vm: &VmRow) -> Result<(), Error> {
        let booter = self.start_booter(&vm.id)?;
        // The disk of a stopped VM counts already.
        let wanted = QuotaValues {
            disk_gib: 0,
            ..claim(vm)
        };
        let layers = self
            .store
            .read(|connection| stacks::get(connection, &vm.id))?;
        self.check_disk(vm, &layers)?;
        self.store.write(|transaction| {
            self.check_quotas(transaction, &wanted)?;
            vms::set_resumed(transaction, &vm.id)?;
            // If this process dies before it runs, the next one boots it.
            vms::set_booting(transaction, &vm.id, &self.host_boot)?;
            Ok::<_, Error>(timers::count(transaction, &vm.id, clock::moment())?)
        })?;
        self.boot_again(booter, &vm.id)
    }
}
