//! One lock a VM, which all engine processes on the data folder respect.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use rusqlite::Connection;
use uuid::Uuid;

use super::{Core, Error};
use crate::store::vms::{self, VmRow};

/// Who else may hold the VM at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VmLocks {
    /// Others who use it as it is: exec, files.
    Shared,
    /// Nobody: boot, snapshot, delete.
    Alone,
}

/// A VM that nobody boots, snapshots or deletes while this is there.
#[derive(Debug)]
pub(super) struct VmLock {
    pub(super) vm: VmRow,
    pub(super) _lock: File,
}

impl Core {
    /// Waits for a VM and holds it. First does what a process that died left to be done.
    pub(super) fn hold(&self, id: &str, how: VmLocks) -> Result<VmLock, Error> {
        let held = self.hold_as_it_is(id, how)?;
        match how {
            VmLocks::Alone => self.recover(held),
            VmLocks::Shared if held.vm.needs_recovery_to_run() => {
                drop(held);
                drop(self.hold(id, VmLocks::Alone)?);
                self.hold_as_it_is(id, how)
            }
            VmLocks::Shared => Ok(held),
        }
    }

    fn hold_as_it_is(&self, id: &str, how: VmLocks) -> Result<VmLock, Error> {
        let lock = self.open_lock(id)?;
        let fail = Error::file(format!("cannot lock vm {id}"));
        match how {
            VmLocks::Shared => lock.lock_shared().map_err(fail)?,
            VmLocks::Alone => lock.lock().map_err(fail)?,
        }
        self.held(id, lock)
    }

    /// Holds a VM alone if nobody else holds it; else gives nothing.
    pub(super) fn try_hold(&self, id: &str) -> Result<Option<VmLock>, Error> {
        let lock = self.open_lock(id)?;
        match lock.try_lock() {
            Ok(()) => self.recover(self.held(id, lock)?).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Makes the folder and lock of a VM that has no row yet, and holds the lock.
    pub(super) fn make_lock(&self, id: &str) -> Result<File, Error> {
        let folder = self.folder.vm(id);
        std::fs::create_dir(&folder)
            .map_err(Error::file(format!("cannot make {}", folder.display())))?;
        let path = self.lock_path(id);
        File::create_new(&path)
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(Error::file(format!("cannot make {}", path.display())))
    }

    /// The row as it is now that the lock is ours: the VM may have gone while we waited.
    fn held(&self, id: &str, lock: File) -> Result<VmLock, Error> {
        Ok(VmLock {
            vm: self.vm_row(id)?,
            _lock: lock,
        })
    }

    fn open_lock(&self, id: &str) -> Result<File, Error> {
        // Before it becomes part of a path, an id must be one.
        if !Uuid::try_parse(id).is_ok_and(|parsed| parsed.to_string() == id) {
            return Err(Error::no_vm(id));
        }
        let path = self.lock_path(id);
        match OpenOptions::new().read(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.remake_lock(id),
            other => other.map_err(Error::file(format!("cannot open {}", path.display()))),
        }
    }

    /// Makes the lock of a VM whose folder was removed by somebody else, so that it can be used and deleted. What runs in
    /// it cannot be reached any more and is ended.
    fn remake_lock(&self, id: &str) -> Result<File, Error> {
        let vm = self.vm_row(id)?;
        let folder = self.folder.vm(id);
        std::fs::create_dir_all(&folder)
            .map_err(Error::file(format!("cannot make {}", folder.display())))?;
        let path = self.lock_path(id);
        let fail = || Error::file(format!("cannot make {}", path.display()));
        let lock = match File::create_new(&path) {
            // Somebody else does it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return File::open(&path).map_err(fail());
            }
            other => other.map_err(fail())?,
        };
        lock.lock().map_err(fail())?;
        for init in fastvm_sandbox::find_inits(self.folder.root())? {
            if init.id() == Some(id) {
                init.kill()?;
            }
        }
        self.note_stopped(&vm, "its folder was removed; the disk is kept")?;
        lock.unlock().map_err(fail())?;
        Ok(lock)
    }

    /// The row of a VM, in a transaction.
    pub(super) fn row_in(&self, connection: &Connection, id: &str) -> Result<VmRow, Error> {
        vms::get(connection, id)?.ok_or_else(|| Error::no_vm(id))
    }

    /// The row of a VM.
    pub(super) fn vm_row(&self, id: &str) -> Result<VmRow, Error> {
        self.store
            .read(|connection| vms::get(connection, id))?
            .ok_or_else(|| Error::no_vm(id))
    }

    fn lock_path(&self, id: &str) -> PathBuf {
        self.folder.vm(id).join("lock")
    }
}
