//! TTLs: what they may be, and acting when the time of a VM is over.

use super::{Core, Error, clock};
use crate::local::keeper;
use crate::local::store::timers;
use crate::local::store::vms::VmRow;
use crate::wire::vm::{LONGEST_TTL, Ttl, Vm, status};

const PAUSE: &str = "pause";
const DELETE: &str = "delete";

pub(super) fn check(ttl: &Ttl) -> Result<(), Error> {
    if ![PAUSE, DELETE].contains(&ttl.action.as_str()) {
        return Err(Error::Invalid(format!(
            "ttl action {:?} is not pause or delete",
            ttl.action
        )));
    }
    if !(1..=LONGEST_TTL).contains(&ttl.seconds) {
        return Err(Error::Invalid(format!(
            "ttl seconds {} is not 1 to {LONGEST_TTL}",
            ttl.seconds
        )));
    }
    Ok(())
}

impl Core {
    /// Starts a full cycle of the TTL that a VM has.
    pub(crate) fn refresh_ttl(&self, id: &str) -> Result<Vm, Error> {
        let vm = self.store.write(|transaction| {
            let vm = self.row_in(transaction, id)?;
            let Some(ttl) = &vm.ttl else {
                return Err(Error::Conflict(format!("vm {id} has no ttl")));
            };
            timers::set(transaction, id, Some(ttl), clock::now_ms())?;
            self.row_in(transaction, id)
        })?;
        self.keep_time(&vm);
        Ok(self.describe(&vm))
    }

    /// Pauses or deletes the VMs whose time is over. One that somebody holds has its turn later.
    pub(crate) fn act_on_due(&self) -> Result<(), Error> {
        let now = clock::now_ms();
        let mut outcome = Ok(());
        for id in self.store.read(|connection| timers::due(connection, now))? {
            match self.act_on(&id) {
                // It was deleted, or its machine had ended.
                Ok(()) | Err(Error::NotFound { .. } | Error::Conflict(_)) => {}
                // One that resists does not keep the others.
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn act_on(&self, id: &str) -> Result<(), Error> {
        let Some(held) = self.try_hold(id)? else {
            return Ok(());
        };
        let vm = &held.vm;
        // Somebody may have given it more time, or acted before us.
        let is_over = vm.expires_at_ms.is_some_and(|at| at <= clock::now_ms());
        let (Some(ttl), true) = (&vm.ttl, is_over && vm.status == status::RUNNING) else {
            return Ok(());
        };
        if ttl.action == DELETE {
            return self.delete_held(&held);
        }
        self.pause_held(&held)?;
        // The next run has a full cycle.
        self.store
            .write(|transaction| timers::set(transaction, id, Some(ttl), clock::now_ms()))?;
        Ok(())
    }

    /// Makes sure that somebody acts when the time of a VM is over, though no engine may run then.
    ///
    /// Where no keeper can be started, engines act when they are asked for VMs.
    pub(super) fn keep_time(&self, vm: &VmRow) {
        if vm.expires_at_ms.is_some() {
            keeper::ensure(&self.folder, self.host.program()).ok();
        }
    }

    /// What a keeper that was killed has left: acts on what is due, and starts another if there is more.
    pub(super) fn resume_keeping(&self) -> Result<(), Error> {
        self.act_on_due()?;
        if self.store.read(timers::next)?.is_some() {
            keeper::ensure(&self.folder, self.host.program()).ok();
        }
        Ok(())
    }
}
