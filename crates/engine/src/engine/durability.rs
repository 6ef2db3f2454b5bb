//! Bringing snapshots to the disk, before anybody is told that they are ready.
//!
//! A snapshot is `creating` while its data may be in memory alone. Whoever makes it holds the lock of its topmost layer
//! until then. If that process dies, another one does the rest, but only through the mount that the data was written
//! to: after a crash of the computer nobody knows how much of it there is.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx, syncfs};

use super::layers::try_lock_layer;
use super::{Core, Error};
use crate::background::Background as _;
use crate::store::snapshots::SnapshotRow;
use crate::store::{snapshots, stacks};
use fastvm_api::types::snapshot::CREATING;

/// Asks for the number of a mount that no other one gets before the next boot (Linux 6.8). Older kernels give one that
/// is used again.
const UNIQUE_MOUNT_ID: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Why a snapshot that was not brought to the disk in time is of no use.
const LOST: &str = "the computer or its disk was started anew before all of it was on the disk";

/// A snapshot that is not ready, and the lock that says that its maker lives.
#[derive(Debug)]
pub(super) struct Unsynced {
    id: String,
    /// A descriptor hears of all writes that failed since it was opened.
    file_system: Arc<File>,
    sync: Option<JoinHandle<io::Result<()>>>,
    _lock: File,
}

impl Unsynced {
    pub(super) fn new(id: &str, file_system: &Arc<File>, lock: File) -> Self {
        Self {
            id: id.to_owned(),
            file_system: file_system.clone(),
            sync: None,
            _lock: lock,
        }
    }

    /// Brings the data to the disk in the background. Where there is no thread for it, that is done later.
    pub(super) fn begin_sync(&mut self) {
        let file_system = self.file_system.clone();
        self.sync = thread::Builder::new()
            .name("fastvm-sync".to_owned())
            .spawn(move || Ok(syncfs(file_system)?))
            .ok();
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.sync.take().map(JoinHandle::join) {
            Some(Ok(synced)) => synced,
            _ => Ok(syncfs(&self.file_system)?),
        }
    }
}

impl Core {
    /// The file system of the layers.
    pub(super) fn open_layers(&self) -> Result<File, Error> {
        let path = self.folder.layers();
        File::open(&path).map_err(Error::file(format!("cannot open {}", path.display())))
    }

    /// The mount through which layers are written now.
    pub(super) fn present_mount(&self) -> Result<String, Error> {
        let path = self.folder.layers();
        let id = mount_id(&path).map_err(Error::file(format!("cannot read {}", path.display())))?;
        Ok(format!("{} {id}", self.host_boot))
    }

    /// Brings a snapshot to the disk, and then says in the state that it is ready. On failure it is deleted.
    pub(super) fn make_ready(&self, mut snapshot: Unsynced) -> Result<SnapshotRow, Error> {
        if let Err(error) = snapshot.sync() {
            // One that cannot be deleted stays `creating`, and is tried again by the next engine.
            self.delete_snapshot(&snapshot.id)
                .or_warn("delete a snapshot that cannot be written");
            let what = format!("cannot write snapshot {} to the disk", snapshot.id);
            return Err(Error::file(what)(error));
        }
        self.note_ready(&snapshot.id)
    }

    fn note_ready(&self, id: &str) -> Result<SnapshotRow, Error> {
        self.store.write_durable(|transaction| {
            snapshots::set_ready(transaction, id)?;
            snapshots::get(transaction, id)?.ok_or_else(|| Error::no_snapshot(id))
        })
    }

    /// Does what is left to be done for snapshots whose maker died.
    pub(super) fn finish_snapshots(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for row in self.store.read(snapshots::creating)? {
            match self.finish_snapshot(row) {
                // Somebody deleted it meanwhile.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Makes a snapshot whose maker died ready, or notes that its data is lost. One that is still being made stays as
    /// it is.
    pub(super) fn finish_snapshot(&self, row: SnapshotRow) -> Result<SnapshotRow, Error> {
        if row.status != CREATING {
            return Ok(row);
        }
        let layers = self
            .store
            .read(|connection| stacks::get(connection, &row.id))?;
        if let Some(damage) = self.first_damage(&layers) {
            return self.note_error(&row.id, &damage);
        }
        let Some(top) = layers.first() else {
            return self.note_error(&row.id, LOST);
        };
        let Some(_lock) = try_lock_layer(&self.folder.layer(top))? else {
            return Ok(row);
        };
        if row.mount != self.present_mount()? {
            return self.note_error(&row.id, LOST);
        }
        match syncfs(self.open_layers()?) {
            Ok(()) => self.note_ready(&row.id),
            Err(error) => {
                self.note_error(&row.id, &format!("its data could not be written: {error}"))
            }
        }
    }

    fn note_error(&self, id: &str, reason: &str) -> Result<SnapshotRow, Error> {
        self.store.write(|transaction| {
            snapshots::set_error(transaction, id, reason)?;
            snapshots::get(transaction, id)?.ok_or_else(|| Error::no_snapshot(id))
        })
    }
}

/// Tells one mount from all others of the same boot, as far as the kernel can.
fn mount_id(path: &Path) -> std::io::Result<String> {
    let wanted = StatxFlags::MNT_ID | UNIQUE_MOUNT_ID;
    let found = statx(CWD, path, AtFlags::empty(), wanted)?;
    Ok(format!(
        "{} {}:{}",
        found.stx_mnt_id, found.stx_dev_major, found.stx_dev_minor
    ))
}
