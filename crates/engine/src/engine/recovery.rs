//! Finishing or undoing what a verb left when its process died.
//!
//! A verb notes in the row what it is about to do with a VM, and holds the VM alone. So whoever holds a VM with such a
//! note knows that the process is gone.

use super::vm_lock::VmLock;
use super::{Core, Error};
use crate::background::Background as _;
use crate::store::vms::{self, VmRow};
use fastvm_api::types::vm::status;
use fastvm_sandbox::{self, Machine};

/// Where a copy of an upper is made, in the folder of its VM.
pub(super) const COPY: &str = "copy";
/// Where the next upper of a VM is made, in its folder.
pub(super) const NEXT: &str = "next";

impl Core {
    /// Does what is left to be done for a VM that is held alone, and returns the row as it is then.
    ///
    /// What cannot be done stays noted, and is no reason not to use or delete the VM.
    pub(super) fn recover(&self, held: VmLock) -> Result<VmLock, Error> {
        if !held.vm.needs_recovery() {
            return Ok(held);
        }
        self.finish_verb(&held.vm)
            .or_warn("finish what was begun with a VM");
        Ok(VmLock {
            vm: self.vm_row(&held.vm.id)?,
            ..held
        })
    }

    fn finish_verb(&self, vm: &VmRow) -> Result<(), Error> {
        let is_running = vm.status == status::RUNNING;
        if vm.halted && is_running {
            self.thaw(vm)?;
        }
        for unfinished in [COPY, NEXT] {
            self.throw(&self.folder.vm(&vm.id).join(unfinished))?;
        }
        // What a machine of an earlier boot of the host did is over, and its VM is stopped.
        if vm.booting && is_running && vm.host_boot == self.host_boot && !self.serves(vm)? {
            return self.boot_again(self.start_booter(&vm.id)?, &vm.id);
        }
        self.store
            .write(|transaction| Ok(vms::set_finished(transaction, &vm.id)?))
    }

    /// Lets the processes of a VM go on. One whose machine is gone has none.
    fn thaw(&self, vm: &VmRow) -> Result<(), Error> {
        let thawed = self.is_alive(vm).and_then(|is_alive| {
            if is_alive {
                self.connect(vm)?.machine.continue_all()?;
            }
            Ok(())
        });
        match thawed {
            Err(Error::Sandbox(fastvm_sandbox::Error::Gone)) => Ok(()),
            other => other,
        }
    }

    /// Returns whether the machine of a VM answers. One that does not is ended: it may have been killed, and not be gone yet.
    fn serves(&self, vm: &VmRow) -> Result<bool, Error> {
        let machine: Machine = match self.connect(vm) {
            Ok(known) => known.machine.clone(),
            Err(Error::Sandbox(fastvm_sandbox::Error::Gone)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if machine.is_idle().is_ok() {
            return Ok(true);
        }
        machine.kill()?;
        self.machines.forget(&vm.id);
        Ok(false)
    }
}
