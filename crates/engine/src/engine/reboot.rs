//! Booting a VM again, on the disk that it has.

use std::ffi::OsStr;

use super::machines::fresh_nonce;
use super::recovery::{COPY, NEXT};
use super::{Core, Error};
use crate::store::vms::VmRow;
use crate::store::{stacks, vms};
use fastvm_sandbox::Booter;

impl Core {
    /// Boots a VM that is held and has no machine, with a booter that was started for it. If it does not boot it is
    /// stopped.
    pub(super) fn boot_again(&self, booter: Booter, id: &str) -> Result<(), Error> {
        let before = self.vm_row(id)?;
        let vm = VmRow {
            nonce: fresh_nonce(),
            host_boot: self.host_boot.clone(),
            ..before
        };
        let layers = self.store.write(|transaction| {
            vms::set_boot(transaction, &vm)?;
            vms::set_booting(transaction, id, &vm.host_boot)?;
            stacks::get(transaction, id)
        })?;
        let booted = self
            .check_disk(&vm, &layers)
            .and_then(|()| self.throw_old_work(id))
            .and_then(|()| self.boot(booter, &vm, &layers));
        match booted {
            Ok(_) => self
                .store
                .write(|transaction| Ok(vms::set_finished(transaction, id)?)),
            Err(error) => {
                let reason = format!("it did not boot again: {error}");
                self.note_stopped(&vm, &reason)?;
                Err(error)
            }
        }
    }

    /// Refuses to boot a VM whose upper or layers are not whole.
    pub(super) fn check_disk(&self, vm: &VmRow, layers: &[String]) -> Result<(), Error> {
        let what = || format!("cannot boot vm {}", vm.id);
        self.check_layers(what, [&vm.upper].into_iter().chain(layers))
    }

    /// Each boot has a work folder of its own, and what the last one left is of no use, nor is what is half copied.
    fn throw_old_work(&self, id: &str) -> Result<(), Error> {
        let folder = self.folder.vm(id);
        let fail = || Error::file(format!("cannot read {}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            let name = entry.file_name();
            if [COPY, NEXT].map(OsStr::new).contains(&&*name)
                || name.to_string_lossy().starts_with("work-")
            {
                self.throw(&entry.path())?;
            }
        }
        Ok(())
    }
}
