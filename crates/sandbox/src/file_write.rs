//! A file that is written beside its target and put in place only when it is whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An unfinished file inside the machine. Dropping it removes the file.
pub(super) struct FileWrite {
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl FileWrite {
    /// Opens a new file beside `target`, with the mode and owner of the file that it will replace. A
    /// symbolic link is followed, as every program does that writes to one.
    pub(super) fn open(target: &Path) -> io::Result<(Self, File)> {
        let target = match fs::canonicalize(target) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(error) => return Err(error),
        };
        let old = fs::metadata(&target).ok();
        if old.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        let (Some(folder), Some(_)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".fastvm-{number}.part"));
        // What a machine that was killed in the middle has left.
        match fs::remove_file(&temporary) {
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&temporary)?;
        let parcel = Self {
            temporary,
            target,
            committed: false,
        };
        if let Some(old) = old.filter(fs::Metadata::is_file) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        Ok((parcel, file))
    }

    /// Puts the file in place of its target at once.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for FileWrite {
    fn drop(&mut self) {
        if !self.committed {
            fs::remove_file(&self.temporary).unwrap_or_default();
        }
    }
}
