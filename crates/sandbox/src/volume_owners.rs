//! Owners of files on volumes that an earlier version made: there, root inside was root of this computer.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use super::error::Error;
use super::tree::USERS;

/// Shifts all owners below `path` that are users of this computer to the users of machines from `first` on.
pub(super) fn convert(path: &Path, first: u32) -> Result<(), Error> {
    let found = fs::symlink_metadata(path).map_err(Error::file(path))?;
    // The top is shifted last, so that a conversion that was cut off is taken up.
    if found.uid() < USERS {
        shift_tree(path, first)?;
    }
    Ok(())
}

fn shift_tree(path: &Path, first: u32) -> Result<(), Error> {
    let found = fs::symlink_metadata(path).map_err(Error::file(path))?;
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::file(path))? {
            shift_tree(&entry.map_err(Error::file(path))?.path(), first)?;
        }
    }
    shift(path, &found, first).map_err(Error::file(path))
}

/// A file with several names is shifted under the first of them.
fn shift(path: &Path, found: &fs::Metadata, first: u32) -> io::Result<()> {
    if found.uid() >= USERS && found.gid() >= USERS {
        return Ok(());
    }
    let shifted = |number: u32| {
        Some(if number < USERS {
            first + number
        } else {
            number
        })
    };
    lchown(path, shifted(found.uid()), shifted(found.gid()))?;
    if !found.is_symlink() {
        // A new owner takes the set-user-id bit off.
        fs::set_permissions(path, fs::Permissions::from_mode(found.mode() & 0o7777))?;
    }
    Ok(())
}
