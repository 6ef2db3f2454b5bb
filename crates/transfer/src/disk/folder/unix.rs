//! Folders by their descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{self, Access, AtFlags, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT};
use rustix::process::{Gid, Uid};

use super::{Kind, Meta};
use crate::format::mtime::Mtime;

/// A folder, by its descriptor.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const OPEN_WRITTEN: OFlags = OFlags::RDWR
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

impl Folder {
    /// Opens a folder that the user named: links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::open(path, OPEN_FOLDER, Mode::empty())?))
    }

    /// A folder that is open.
    pub(crate) fn of(handle: File) -> Self {
        Self(handle.into())
    }

    /// Opens a folder in this one.
    pub(crate) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(open_below(&self.0, name, OPEN_FOLDER, Mode::empty())?))
    }

    /// Opens a file in this folder to read; a pipe does not block, it is for the caller to look at the kind.
    pub(crate) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        Ok(open_below(
            &self.0,
            name,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
            Mode::empty(),
        )?
        .into())
    }

    /// Makes a file for its owner alone; one that exists is an error.
    pub(crate) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(open_below(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Opens a file in this folder to go on writing it.
    pub(crate) fn open_written(&self, name: &OsStr) -> io::Result<File> {
        Ok(open_below(&self.0, name, OPEN_WRITTEN, Mode::empty())?.into())
    }

    /// As [`open_written`](Self::open_written), and makes the file for its owner alone if there is none.
    pub(crate) fn open_or_create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OPEN_WRITTEN | OFlags::CREATE;
        Ok(open_below(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Makes a hole of a part of a file; fails where the file system knows none.
    #[cfg(target_os = "linux")]
    pub(crate) fn clear_part(file: &File, part: &Range<u64>) -> io::Result<()> {
        let how = fs::FallocateFlags::PUNCH_HOLE | fs::FallocateFlags::KEEP_SIZE;
        Ok(fs::fallocate(file, how, part.start, part.end - part.start)?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn clear_part(_file: &File, _part: &Range<u64>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a folder for its owner alone.
    pub(crate) fn create_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::mkdirat(&self.0, name, Mode::RWXU)?)
    }

    pub(crate) fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        Ok(meta(&fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(crate) fn own_meta(&self) -> io::Result<Meta> {
        Ok(meta(&fs::fstat(&self.0)?))
    }

    pub(crate) fn file_meta(file: &File) -> io::Result<Meta> {
        Ok(meta(&fs::fstat(file)?))
    }

    /// Reads at a place, whatever others do with the same file.
    pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(file, into, at)
    }

    /// Writes all of it at a place.
    pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
    }

    pub(crate) fn is_readable(&self, name: &OsStr, kind: Kind) -> bool {
        let access = if kind == Kind::Folder {
            Access::READ_OK | Access::EXEC_OK
        } else {
            Access::READ_OK
        };
        fs::accessat(&self.0, name, access, AtFlags::EACCESS).is_ok()
    }

    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    pub(crate) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(OsString::from_vec(
            fs::readlinkat(&self.0, name, Vec::new())?.into_bytes(),
        ))
    }

    pub(crate) fn create_link(&self, name: &OsStr, text: &OsStr) -> io::Result<()> {
        Ok(fs::symlinkat(text, &self.0, name)?)
    }

    /// Makes `name` another name of the file `from` in `folder`.
    pub(crate) fn create_hard_link(
        &self,
        name: &OsStr,
        folder: &Self,
        from: &OsStr,
    ) -> io::Result<()> {
        Ok(fs::linkat(
            &folder.0,
            from,
            &self.0,
            name,
            AtFlags::empty(),
        )?)
    }

    pub(crate) fn rename(&self, name: &OsStr, to: &Self, to_name: &OsStr) -> io::Result<()> {
        Ok(fs::renameat(&self.0, name, &to.0, to_name)?)
    }

    pub(crate) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(crate) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Opens a file in this folder to give it its mode and time.
    pub(crate) fn open_to_settle(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name)
    }

    /// Gives this folder its mode and time.
    pub(crate) fn settle(&self, mode: u32, modified: Mtime) -> io::Result<()> {
        settle(&self.0, mode, modified)
    }

    /// Gives a file its mode and time.
    pub(crate) fn settle_file(file: &File, mode: u32, modified: Mtime) -> io::Result<()> {
        settle(file, mode, modified)
    }

    /// Gives a symbolic link its time.
    pub(crate) fn settle_link(&self, name: &OsStr, modified: Mtime) -> io::Result<()> {
        Ok(fs::utimensat(
            &self.0,
            name,
            &times(modified),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Gives an entry, or the link that it is, to a user and a group.
    pub(crate) fn give(&self, name: &OsStr, owner: (u32, u32)) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(fs::chownat(&self.0, name, Some(user), Some(group), flags)?)
    }

    /// Bytes that can still be written here.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let stat = fs::fstatvfs(&self.0)?;
        // What cannot be written has no free bytes either, but that is not why.
        if stat.f_blocks == 0 || stat.f_flag.contains(fs::StatVfsMountFlags::RDONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Opens one entry. On Linux the kernel itself refuses links and ways out; elsewhere, and where a sandbox forbids that call, the
/// single name and `O_NOFOLLOW` do.
fn open_below(folder: &OwnedFd, name: &OsStr, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW;
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the name of an entry",
        ));
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        use rustix::io::Errno;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(folder, name, flags, mode, resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            answer => return Ok(answer?),
        }
    }
    Ok(fs::openat(folder, name, flags, mode)?)
}

fn settle(fd: impl AsFd, mode: u32, modified: Mtime) -> io::Result<()> {
    fs::fchmod(&fd, Mode::from_raw_mode(narrow(mode & 0o1777)))?;
    Ok(fs::futimens(&fd, &times(modified))?)
}

fn times(modified: Mtime) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanos.into(),
        },
    }
}

fn meta(stat: &Stat) -> Meta {
    Meta {
        kind: Kind::of_mode(u32::try_from(wide(stat.st_mode)).unwrap_or_default()),
        mode: u32::try_from(wide(stat.st_mode)).unwrap_or_default() & 0o1777,
        size: wide(stat.st_size),
        modified: Mtime {
            seconds: stat.st_mtime,
            nanos: u32::try_from(wide(stat.st_mtime_nsec)).unwrap_or_default(),
        },
        changed: Mtime {
            seconds: stat.st_ctime,
            nanos: u32::try_from(wide(stat.st_ctime_nsec)).unwrap_or_default(),
        },
        identity: (wide(stat.st_dev), wide(stat.st_ino)),
        links: wide(stat.st_nlink),
        owner: (stat.st_uid, stat.st_gid),
        allocated: wide(stat.st_blocks).saturating_mul(512),
    }
}

/// The fields differ in width from system to system.
fn wide(value: impl TryInto<u64>) -> u64 {
    value.try_into().unwrap_or_default()
}

fn narrow<T: TryFrom<u32> + Default>(value: u32) -> T {
    value.try_into().unwrap_or_default()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_cleared_is_zeros_and_what_lies_around_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 5 * 4096]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        Folder::clear_part(&file, &(4096..2 * 4096)).unwrap();
        let expected = [[7; 4096], [0; 4096], [7; 4096], [7; 4096], [7; 4096]].concat();
        assert!(std::fs::read(&path).unwrap() == expected);
    }
}
