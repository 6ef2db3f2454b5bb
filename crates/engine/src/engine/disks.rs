//! VMs whose disks are full: they are paused, with the reason in words, and may go on to remove files.

use super::{Core, Error};
use crate::disk_watch::DiskKey;
use crate::store::disks::{self, DiskRow};
use crate::store::vms::VmRow;
use fastvm_api::types::vm::status;

/// How much more than it took when it was paused a disk may take, in bytes: to remove files takes room too.
const GRACE_BYTES: u64 = 256 << 20;

impl Core {
    /// Pauses the VMs that filled a disk beyond its size. When they go on, the disk may take somewhat more.
    pub(crate) fn pause_outgrown(
        &self,
        key: &DiskKey,
        row: &DiskRow,
        used: u64,
    ) -> Result<(), Error> {
        let size = format!("{} of {} GiB used", gib(used), row.size_gib);
        let grace = i64::try_from(used.saturating_add(GRACE_BYTES)).unwrap_or(i64::MAX);
        match key {
            DiskKey::Vm(id) => {
                let reason = |vm: &VmRow| format!("its disk is full: {size}; {}", way_out(vm));
                self.pause_for(id, reason)?;
                self.store
                    .write(|transaction| disks::set_vm_grace(transaction, id, Some(grace)))?;
            }
            DiskKey::Volume(id) => {
                let name = &row.name;
                let reason =
                    |vm: &VmRow| format!("its volume {name} is full: {size}; {}", way_out(vm));
                self.pause_users(id, reason)?;
                self.store
                    .write(|transaction| disks::set_volume_grace(transaction, id, Some(grace)))?;
            }
        }
        Ok(())
    }

    /// Pauses the VMs that took what was nearly the last of the file system.
    pub(crate) fn pause_filling(&self, key: &DiskKey, free: u64) -> Result<(), Error> {
        let left = free >> 20;
        let reason = |vm: &VmRow| {
            format!(
                "the disk of this computer is nearly full, {left} MiB left, and it filled it most; {}",
                way_out(vm)
            )
        };
        match key {
            DiskKey::Vm(id) => self.pause_for(id, reason),
            DiskKey::Volume(id) => self.pause_users(id, reason),
        }
    }

    /// Notes that a disk is within its size again.
    pub(crate) fn end_disk_grace(&self, key: &DiskKey) -> Result<(), Error> {
        Ok(self.store.write(|transaction| match key {
            DiskKey::Vm(id) => disks::set_vm_grace(transaction, id, None),
            DiskKey::Volume(id) => disks::set_volume_grace(transaction, id, None),
        })?)
    }

    /// What there is to say about the data folder, one sentence each: VMs that are paused for their disks, and what was
    /// lost.
    pub(crate) fn notices(&self) -> Result<Vec<String>, Error> {
        let (reasons, lost) = self.store.read(|connection| {
            let lost = self.store.records().without_row(connection)?;
            Ok::<_, Error>((disks::pause_reasons(connection)?, lost))
        })?;
        let paused = reasons.into_iter();
        let mut notices: Vec<_> = paused
            .map(|(name, reason)| format!("vm {name} is paused: {reason}"))
            .collect();
        notices.extend(lost.into_iter().map(|record| {
            let (kind, name) = (&record.kind, record.text("name"));
            format!("{kind} {name} was lost: bring it back with `fastvm local repair`")
        }));
        Ok(notices)
    }

    fn pause_users(&self, volume: &str, reason: impl Fn(&VmRow) -> String) -> Result<(), Error> {
        let volumes = self.store.read(disks::used_volumes)?;
        let users = volumes.into_iter().find(|used| used.disk.id == volume);
        users
            .into_iter()
            .flat_map(|used| used.vms)
            .try_for_each(|vm| self.pause_for(&vm, &reason))
    }

    /// Pauses a VM that runs.
    ///
    /// # Errors
    /// [`Error::Conflict`] while somebody holds it: it has its turn later.
    fn pause_for(&self, id: &str, reason: impl Fn(&VmRow) -> String) -> Result<(), Error> {
        let Some(held) = self.try_hold(id)? else {
            return Err(Error::Conflict(format!("vm {id} is in use")));
        };
        if held.vm.status != status::RUNNING {
            return Ok(());
        }
        self.pause_held(&held)?;
        let reason = reason(&held.vm);
        self.store
            .write(|transaction| disks::set_pause_reason(transaction, id, &reason))?;
        Ok(())
    }
}

/// What to do about a VM that is paused for its disk.
fn way_out(vm: &VmRow) -> String {
    let name = shell_words::quote(&vm.name);
    format!("remove files after `fastvm vm resume {name}`, or delete it")
}

/// Bytes in GiB with one decimal, which never rounds what is above a whole number down to it.
fn gib(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10).div_ceil(1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_beyond_its_size_is_told_so() {
        assert_eq!(gib((10 << 30) + 1), "10.1 GiB");
        assert_eq!(gib(10 << 30), "10.0 GiB");
        assert_eq!(gib(0), "0.0 GiB");
    }
}
