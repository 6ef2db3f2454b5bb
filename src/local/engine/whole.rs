//! The data folder as a whole.

use std::time::Duration;

use super::hold::Hold;
use super::{Core, Error};
use crate::local::keeper;
use crate::local::sandbox::{LimitsSupport, Mode};
use crate::local::store::{snapshots, vms};
use crate::wire::vm::status;

/// How long removing may take in all: longer than any disk needs.
const LONG: Duration = Duration::from_secs(60 * 60);

impl Core {
    /// How users in VMs map to users of this computer.
    pub(crate) fn mode(&self) -> Mode {
        self.host.mode()
    }

    /// What holds VMs to their limits.
    pub(crate) fn limits(&self) -> LimitsSupport {
        self.host.limits()
    }

    /// How many VMs there are, how many of them run, and how many snapshots there are.
    pub(crate) fn counts(&self) -> Result<(usize, usize, usize), Error> {
        let vms = self.list_vms(&super::VmFilter::default())?;
        let running = vms.iter().filter(|vm| vm.status == status::RUNNING).count();
        Ok((vms.len(), running, self.store.read(snapshots::all)?.len()))
    }

    /// Kills all VMs and removes all that is ours in the data folder. To be called when nobody else works on it.
    pub(crate) fn remove_everything(&self) -> Result<(), Error> {
        for vm in self.store.read(vms::all)? {
            let held = self.hold(&vm.id, Hold::Alone)?;
            self.abandon(&held.vm)?;
        }
        self.host.remove_stale_groups(|_| false);
        self.settle(LONG);
        keeper::wait_for_end(&self.folder)
            .map_err(Error::file("cannot wait for the keeper of ttls"))?;
        for path in self.folder.everything() {
            self.host.discard(&path)?;
        }
        // Files of others may be there: then the folder stays.
        std::fs::remove_dir(self.data()).ok();
        Ok(())
    }
}
