//! Removing trees, whatever their owner made of them: unreadable, deeper than any path may be long, with names of any bytes.

use std::ffi::CStr;
use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;

use super::error::Error;

/// Folders within folders that are open at a time. What is deeper moves up to the top and is removed from there.
const OPEN_LEVELS: u32 = 16;
/// How often a folder is emptied into which another process, removing the same tree, moves something.
const TRIES: u32 = 16;
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const OWN: Mode = Mode::RWXU;

/// Removes a tree or a file; one that is missing is fine. Never follows a link.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    match discard_in_parent(path) {
        Err(Errno::NOENT) => Ok(()),
        result => result.map_err(|error| Error::file(path)(error.into())),
    }
}

fn discard_in_parent(path: &Path) -> rustix::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    // Only to be looked up in: it may be a folder that its owner may not list.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = openat(CWD, parent, flags, Mode::empty())?;
    let name = name.into_c_str()?;
    match unlinkat(&parent, &*name, AtFlags::empty()) {
        Err(Errno::ISDIR) => remove_folder(None, parent.as_fd(), &name, 0),
        result => result,
    }
}

/// The outermost folder of the tree is its own top.
fn remove_folder(
    top: Option<BorrowedFd<'_>>,
    parent: BorrowedFd<'_>,
    name: &CStr,
    level: u32,
) -> rustix::io::Result<()> {
    let mut tries = 0;
    loop {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) if tries < TRIES => tries += 1,
            result => return result,
        }
        let folder = open_own(parent, name)?;
        empty(top.unwrap_or(folder.as_fd()), folder.as_fd(), level)?;
    }
}

fn empty(top: BorrowedFd<'_>, folder: BorrowedFd<'_>, level: u32) -> rustix::io::Result<()> {
    let mut is_empty = false;
    while !is_empty {
        is_empty = true;
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            is_empty = false;
            let mut result = Err(Errno::ISDIR);
            if entry.file_type() != FileType::Directory {
                result = unlinkat(folder, name, AtFlags::empty());
            }
            if result == Err(Errno::ISDIR) {
                result = if level < OPEN_LEVELS {
                    remove_folder(Some(top), folder, name, level + 1)
                } else {
                    move_up(top, folder, name)
                };
            }
            match result {
                // Another process removes the same tree.
                Ok(()) | Err(Errno::NOENT) => {}
                error => return error,
            }
        }
    }
    Ok(())
}

fn move_up(top: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    let fresh = uuid::Uuid::new_v4().simple().to_string();
    match renameat(folder, name, top, &*fresh) {
        // A folder that moves is written to: its parent is another one.
        Err(Errno::ACCESS) => {
            open_own(folder, name)?;
            renameat(folder, name, top, &*fresh)
        }
        result => result,
    }
}

/// Opens a folder, and gives its owner all rights to it first. The kernel leaves work folders of overlays without any.
fn open_own(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let opened = openat(parent, name, FOLDER | OFlags::RDONLY, Mode::empty());
    let folder = match opened {
        Err(Errno::ACCESS) => {
            let place = openat(parent, name, FOLDER | OFlags::PATH, Mode::empty())?;
            let path = format!("/proc/self/fd/{}", place.as_raw_fd());
            let changed = fs::set_permissions(path, Permissions::from_mode(OWN.as_raw_mode()));
            changed.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::ACCESS))?;
            openat(parent, name, FOLDER | OFlags::RDONLY, Mode::empty())?
        }
        result => result?,
    };
    let mode = Mode::from_raw_mode(fstat(&folder)?.st_mode);
    if !mode.contains(OWN) {
        match fchmod(&folder, OWN) {
            // Root needs no rights, and a file system may refuse the change.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(folder)
}

/// Makes a folder and those above it, all with this mode; one that is there stays as it is.
pub(super) fn ensure_folder(path: &Path, mode: u32) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Error::file(path))
}
