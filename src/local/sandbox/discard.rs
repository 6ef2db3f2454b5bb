//! Removing trees, also those that their owner made unreadable.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::error::Error;

/// Removes a tree or a file; one that is missing is fine. Never follows a link.
pub(in crate::local) fn discard(path: &Path) -> Result<(), Error> {
    match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // The kernel leaves overlay work folders with mode 000, and guests do what they like.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_up(path)
            .and_then(|()| remove(path))
            .map_err(Error::file(path)),
        result => result.map_err(Error::file(path)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a folder and those above it, all with this mode; one that is there stays as it is.
pub(super) fn ensure_folder(path: &Path, mode: u32) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Error::file(path))
}
