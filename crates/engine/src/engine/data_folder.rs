//! The data folder as a whole.

use super::{Core, Error};
use crate::store::snapshots;
use fastvm_api::types::vm::status;
use fastvm_sandbox::{LimitsSupport, Mode};

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
        let running = vms
            .iter()
            .filter(|vm| vm.has_status(status::RUNNING))
            .count();
        Ok((vms.len(), running, self.store.read(snapshots::all)?.len()))
    }
}
