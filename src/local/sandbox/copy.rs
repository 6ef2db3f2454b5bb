//! Copies of uppers that are as good as the original: nothing that an overlay or a user can see differs.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown, symlink,
};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use rustix::io::Errno;

use super::content::Content;
use super::discard;
use super::error::Error;

/// Copies a tree to a place where nothing is yet, which is so again if the copy fails.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let mut copier = Copier {
        is_root: rustix::process::geteuid().is_root(),
        links: HashMap::new(),
        content: Content::default(),
    };
    let result = copier.copy(from, to);
    if result.is_err() {
        discard::discard(to)?;
    }
    result
}

struct Copier {
    is_root: bool,
    /// The copies of files with several names, by device and number of the original.
    links: HashMap<(u64, u64), PathBuf>,
    content: Content,
}

impl Copier {
    fn copy(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let found = fs::symlink_metadata(from).map_err(Error::file(from))?;
        if found.nlink() > 1 && !found.is_dir() {
            let key = (found.dev(), found.ino());
            if let Some(first) = self.links.get(&key) {
                return fs::hard_link(first, to).map_err(Error::file(to));
            }
            self.links.insert(key, to.to_owned());
        }
        let opened = self.open_up(from, &found).map_err(Error::file(from))?;
        let result = if found.is_dir() {
            self.copy_folder(from, to)
        } else {
            self.copy_node(from, to, &found).map_err(Error::file(from))
        };
        let result = result.and_then(|()| {
            self.copy_attributes(from, to, &found)
                .map_err(Error::file(to))
        });
        if opened {
            set_mode(from, &found).map_err(Error::file(from))?;
        }
        result
    }

    /// Lets an ordinary user read a file of his whose mode forbids it; says whether that was needed.
    fn open_up(&self, path: &Path, found: &Metadata) -> io::Result<bool> {
        let wanted = if found.is_dir() { 0o500 } else { 0o400 };
        let closed = !self.is_root && !found.is_symlink() && found.mode() & wanted != wanted;
        if closed {
            fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o7777 | wanted))?;
        }
        Ok(closed)
    }

    fn copy_folder(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(to)
            .map_err(Error::file(to))?;
        for entry in fs::read_dir(from).map_err(Error::file(from))? {
            let entry = entry.map_err(Error::file(from))?;
            self.copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn copy_node(&mut self, from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
        let kind = found.file_type();
        if kind.is_symlink() {
            return symlink(fs::read_link(from)?, to);
        }
        if kind.is_file() {
            let copy = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(to)?;
            return self.content.copy(&File::open(from)?, &copy, found.size());
        }
        let node = if kind.is_fifo() {
            FileType::Fifo
        } else if kind.is_socket() {
            FileType::Socket
        } else if kind.is_block_device() {
            FileType::BlockDevice
        } else {
            FileType::CharacterDevice // a whiteout most of all
        };
        rustix::fs::mknodat(CWD, to, node, Mode::RUSR | Mode::WUSR, found.rdev())?;
        Ok(())
    }

    fn copy_attributes(&self, from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
        if self.is_root {
            lchown(to, Some(found.uid()), Some(found.gid()))?;
        }
        // Before the mode, which may forbid it, except for access lists, which change the mode.
        let names = attribute_names(from)?;
        let (lists, plain): (Vec<_>, Vec<_>) = names
            .iter()
            .partition(|name| name.to_bytes().starts_with(b"system."));
        for name in plain {
            copy_attribute(from, to, name)?;
        }
        if !found.is_symlink() {
            set_mode(to, found)?;
        }
        for name in lists {
            copy_attribute(from, to, name)?;
        }
        let times = Timestamps {
            last_access: time(found.atime(), found.atime_nsec()),
            last_modification: time(found.mtime(), found.mtime_nsec()),
        };
        rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Timespec {
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    }
}

fn set_mode(path: &Path, like: &Metadata) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(like.mode() & 0o7777))
}

fn attribute_names(path: &Path) -> io::Result<Vec<std::ffi::CString>> {
    let mut list = match rustix::fs::llistxattr_query(path) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(size) => vec![0_u8; size],
        Err(error) => return Err(error.into()),
    };
    let size = rustix::fs::llistxattr(path, &mut list)?;
    list.truncate(size);
    list.split_inclusive(|byte| *byte == 0)
        .map(|name| std::ffi::CString::from_vec_with_nul(name.to_vec()).map_err(io::Error::other))
        .collect()
}

fn copy_attribute(from: &Path, to: &Path, name: &std::ffi::CStr) -> io::Result<()> {
    let size = rustix::fs::lgetxattr_query(from, name)?;
    let mut value = vec![0_u8; size];
    let size = rustix::fs::lgetxattr(from, name, &mut value)?;
    let flags = rustix::fs::XattrFlags::empty();
    Ok(rustix::fs::lsetxattr(to, name, &value[..size], flags)?)
}
