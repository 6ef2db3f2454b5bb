//! Room that is kept for the time when a disk is full, so that deleting, which frees room, always has what it needs.
//!
//! There are two kinds. The log of the database has its blocks beforehand: what it writes fits, though others take all
//! that becomes free. A file beside it, [`Folder::reserve`], is given up for what else needs room.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::disk::Space;
use super::folder::Folder;

/// What is kept on a disk of usual size, in bytes: more than SQLite lets its log grow before it writes it back.
const RESERVE_BYTES: u64 = 5 << 20;
/// The smallest reserve that is of use, in bytes.
const SMALLEST_RESERVE: u64 = 256 << 10;
/// The index of a log of the usual size, in bytes.
const INDEX_SIZE: u64 = 32 << 10;
/// A small disk gives this share.
const SHARE: u64 = 64;
/// A reserve is made where so many times its size are free.
const ROOM: u64 = 8;

/// Returns how large each of the two reserves is on a disk, in bytes.
pub(crate) fn size_on(space: Space) -> u64 {
    (space.total / SHARE).clamp(SMALLEST_RESERVE, RESERVE_BYTES)
}

/// Returns whether so little is left that the reserve is for now.
pub(crate) fn is_needed(space: Space) -> bool {
    space.free < size_on(space) / 2
}

/// Makes the reserve if it is missing and there is room. A disk where that fails goes without.
pub(crate) fn ensure(folder: &Folder) {
    let path = folder.reserve();
    if fs::symlink_metadata(&path).is_ok() {
        return;
    }
    let Some(space) = Space::of(folder.root()) else {
        return;
    };
    let size = size_on(space);
    if space.free < ROOM * size {
        return;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|file| take_blocks(file, size));
    if made.is_err() {
        fs::remove_file(&path).unwrap_or_default();
    }
}

/// Frees the reserve; says whether there was one.
pub(crate) fn give_up(folder: &Folder) -> bool {
    fs::remove_file(folder.reserve()).is_ok()
}

/// Gives what SQLite writes beside the database its blocks, if it has not got them. The lengths stay.
///
/// The index is written through memory, where a block that cannot be had is a signal that ends the process.
pub(crate) fn ensure_blocks(folder: &Folder) {
    let Some(space) = Space::of(folder.root()) else {
        return;
    };
    let size = size_on(space);
    for (path, size) in [
        (folder.database_log(), size),
        (folder.database_index(), INDEX_SIZE),
    ] {
        let found = fs::metadata(&path);
        if found.map_or(true, |found| found.blocks() * 512 >= size) || space.free < ROOM * size {
            continue;
        }
        let file = OpenOptions::new().write(true).open(&path);
        // A disk where that fails goes without.
        file.and_then(|file| Ok(fallocate(&file, FallocateFlags::KEEP_SIZE, 0, size)?))
            .unwrap_or_default();
    }
}

fn take_blocks(mut file: File, size: u64) -> io::Result<()> {
    match fallocate(file.as_fd(), FallocateFlags::empty(), 0, size) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = vec![0; 64 << 10];
            for _ in 0..size.div_ceil(zeros.len() as u64) {
                file.write_all(&zeros)?;
            }
            Ok(())
        }
        result => Ok(result?),
    }
}
