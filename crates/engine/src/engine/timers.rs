//! TTLs: what they may be, and acting when the time of a VM is over.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::{Core, Error, clock};
use crate::background::Background as _;
use crate::keeper;
use crate::store::vms::VmRow;
use crate::store::{disks, timers};
use fastvm_api::types::vm::{LONGEST_TTL, Ttl, Vm, status};

const PAUSE: &str = "pause";
const DELETE: &str = "delete";

/// How long an engine lives before it starts a keeper for VMs without a TTL.
const KEEPER_DELAY: Duration = Duration::from_secs(1);
/// The stack of the thread that does so, in bytes.
const KEEPER_STACK: usize = 128 << 10;

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
            timers::set(transaction, id, Some(ttl), clock::moment())?;
            self.row_in(transaction, id)
        })?;
        self.keep_time(&vm);
        Ok(self.describe(&vm))
    }

    /// Pauses or deletes the VMs whose time is over. One that somebody holds has its turn later.
    pub(crate) fn act_on_due(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for id in self.due()? {
            match self.act_on(&id) {
                // It was deleted, or its machine had ended.
                Ok(()) | Err(Error::NotFound { .. } | Error::Conflict(_)) => {}
                // One that resists does not keep the others.
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn due(&self) -> Result<Vec<String>, Error> {
        let now = clock::moment();
        Ok(self
            .store
            .read(|connection| timers::due(connection, now, &self.host_boot))?)
    }

    fn act_on(&self, id: &str) -> Result<(), Error> {
        let Some(held) = self.try_hold(id)? else {
            return Ok(());
        };
        let vm = &held.vm;
        // Somebody may have given it more time, or acted before us.
        let is_over = self.due()?.iter().any(|due| due == id);
        let (Some(ttl), true) = (&vm.ttl, is_over && vm.status == status::RUNNING) else {
            return Ok(());
        };
        if ttl.action == DELETE {
            return self.delete_held(&held);
        }
        self.pause_held(&held)?;
        // The next run has a full cycle.
        self.store
            .write(|transaction| timers::set(transaction, id, Some(ttl), clock::moment()))?;
        Ok(())
    }

    /// Makes sure that somebody acts when the time of a VM is over or its disk is full, though no engine may run then.
    ///
    /// Where no keeper can be started, engines act on TTLs when they are asked for VMs.
    pub(super) fn keep_time(&self, vm: &VmRow) {
        if vm.expires_at_ms.is_some() {
            keeper::ensure(&self.folder, self.host.program()).or_warn("start the keeper");
        } else if vm.status == status::RUNNING {
            self.want_keeper();
        }
    }

    /// Starts a keeper when this engine has lived a moment longer. A short command that deletes its VM needs none.
    fn want_keeper(&self) {
        if self.keeper_is_wanted.swap(true, Ordering::Relaxed) {
            return;
        }
        let (folder, program) = (self.folder.clone(), self.host.program().to_owned());
        let is_wanted = self.keeper_is_wanted.clone();
        let work = move || {
            thread::sleep(KEEPER_DELAY);
            is_wanted.store(false, Ordering::Relaxed);
            keeper::ensure(&folder, &program).or_warn("start the keeper");
        };
        let started = thread::Builder::new()
            .name("fastvm-keeper".to_owned())
            .stack_size(KEEPER_STACK)
            .spawn(work);
        if started.is_err() {
            self.keeper_is_wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Starts a keeper if a VM runs, for when this engine has ended.
    pub(super) fn leave_to_keeper(&self) {
        if self.store.read(disks::any_runs).unwrap_or(false) {
            keeper::ensure(&self.folder, self.host.program()).or_warn("start the keeper");
        }
    }

    /// What a keeper that was killed has left: acts on what is due, and starts another if there is more.
    pub(super) fn resume_keeping(&self) -> Result<(), Error> {
        self.act_on_due()?;
        let next = self
            .store
            .read(|connection| timers::next(connection, &self.host_boot))?;
        if next.is_some() {
            keeper::ensure(&self.folder, self.host.program()).or_warn("start the keeper");
        } else if self.store.read(disks::any_runs)? {
            self.want_keeper();
        }
        Ok(())
    }
}
