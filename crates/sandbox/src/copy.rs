//! Copies of uppers that are as good as the original: nothing that an overlay or a user can see differs.
//!
//! Folders are entered and left one at a time, by descriptor: guests make trees that are deeper than any path may be long.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chmodat,
    chownat, fstat, linkat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::attributes::{Attributes, entry_path};
use super::content::Content;
use super::error::Error;

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// How much of a path is opened at once; the kernel takes 4095 bytes.
const PATH_PART: usize = 4000;

/// Who owns the copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The owners of the originals.
    Kept,
    /// Whoever copies.
    Own,
}

/// Copies a tree to a place where nothing is yet. What is there after an error is of no use.
pub(super) fn copy_tree(from: &Path, to: &Path, ownership: Ownership) -> Result<(), Error> {
    let open = |path: &Path| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, parent.unwrap_or(Path::new(".")), flags, Mode::empty())
            .map_err(|error| Error::file(path)(error.into()))
    };
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        CString::new(name.as_bytes()).map_err(|error| Error::file(path)(error.into()))
    };
    let (from_name, to_name) = (name(from)?, name(to)?);
    let place = ControlSocket {
        from: open(from)?,
        to: open(to)?,
    };
    let mut copier = Copier {
        ownership,
        top: to.to_owned(),
        below: PathBuf::new(),
        links: HashMap::new(),
        content: Content::default(),
        attributes: Attributes::default(),
    };
    copier
        .copy_all(&place, &from_name, &to_name)
        .map_err(|source| match copier.below.as_os_str().is_empty() {
            true => Error::file(from)(source.into()),
            false => Error::file(&from.join(&copier.below))(source.into()),
        })
}

/// The same folder in the original and in the copy.
struct ControlSocket {
    from: OwnedFd,
    to: OwnedFd,
}

/// A folder that is being copied, while those in it are.
struct Level {
    name: CString,
    found: Stat,
    /// Which folders the two are, to be sure when coming back to them.
    identities: [(u64, u64); 2],
    /// The folders in it that are still to be copied.
    folders: Vec<CString>,
}

struct Copier {
    ownership: Ownership,
    /// The copy as a whole.
    top: PathBuf,
    /// What is copied at the moment, below the top.
    below: PathBuf,
    /// The copies of files with several names, below the top, by device and number of the original.
    links: HashMap<(u64, u64), PathBuf>,
    content: Content,
    attributes: Attributes,
}

type Copied<T> = rustix::io::Result<T>;

impl Copier {
    fn copy_all(&mut self, outer: &ControlSocket, from_name: &CStr, to_name: &CStr) -> Copied<()> {
        let found = statat(&outer.from, from_name, AtFlags::SYMLINK_NOFOLLOW)?;
        if !is_folder(&found) {
            return self.copy_entry(outer, from_name, to_name, &found);
        }
        let (mut place, level) = self.enter(outer, from_name, to_name, found)?;
        let mut levels = vec![level];
        while let Some(mut level) = levels.pop() {
            if let Some(name) = level.folders.pop() {
                levels.push(level);
                self.below.push(OsStr::from_bytes(name.as_bytes()));
                let found = statat(&place.from, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                let (inner, level) = self.enter(&place, &name, &name, found)?;
                levels.push(level);
                place = inner;
            } else if let Some(parent) = levels.last() {
                place = leave(&place, parent)?;
                self.copy_attributes(&place, &level.name, &level.name, &level.found)?;
                self.below.pop();
            } else {
                self.copy_attributes(outer, from_name, to_name, &level.found)?;
            }
        }
        Ok(())
    }

    /// Makes the copy of a folder and copies all in it but other folders.
    fn enter(
        &mut self,
        outer: &ControlSocket,
        from_name: &CStr,
        to_name: &CStr,
        found: Stat,
    ) -> Copied<(ControlSocket, Level)> {
        mkdirat(&outer.to, to_name, Mode::RWXU)?;
        let place = ControlSocket {
            from: openat(&outer.from, from_name, FOLDER, Mode::empty())?,
            to: openat(&outer.to, to_name, FOLDER, Mode::empty())?,
        };
        let mut folders = Vec::new();
        for entry in Dir::read_from(&place.from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let found = statat(&place.from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if is_folder(&found) {
                folders.push(name.to_owned());
                continue;
            }
            self.below.push(OsStr::from_bytes(name.to_bytes()));
            self.copy_entry(&place, name, name, &found)?;
            self.below.pop();
        }
        let level = Level {
            name: from_name.to_owned(),
            found,
            identities: place.identities()?,
            folders,
        };
        Ok((place, level))
    }

    fn copy_entry(
        &mut self,
        place: &ControlSocket,
        from_name: &CStr,
        to_name: &CStr,
        found: &Stat,
    ) -> Copied<()> {
        if found.st_nlink > 1 {
            let key = (found.st_dev, found.st_ino);
            if let Some(first) = self.links.get(&key) {
                let (folder, name) = self.open_copy(first)?;
                return linkat(&folder, &*name, &place.to, to_name, AtFlags::empty());
            }
            self.links.insert(key, self.below.clone());
        }
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Symlink => {
                let target = readlinkat(&place.from, from_name, Vec::new())?;
                symlinkat(&*target, &place.to, to_name)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let from = openat(&place.from, from_name, flags, Mode::empty())?;
                let to = openat(&place.to, to_name, flags | made, Mode::RUSR | Mode::WUSR)?;
                let size = u64::try_from(found.st_size).unwrap_or_default();
                self.content
                    .copy(&File::from(from), &File::from(to), size)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            }
            // A whiteout most of all, which is a device.
            kind => {
                let mode = Mode::RUSR | Mode::WUSR;
                mknodat(&place.to, to_name, kind, mode, found.st_rdev)?;
            }
        }
        self.copy_attributes(place, from_name, to_name, found)
    }

    /// Opens the folder of a file that was copied before, and names it in there.
    fn open_copy(&self, below: &Path) -> Copied<(OwnedFd, CString)> {
        let mut folder = openat(CWD, &self.top, FOLDER | OFlags::PATH, Mode::empty())?;
        let mut rest = below.as_os_str().as_bytes();
        while let Some(slash) = memchr::memrchr(b'/', &rest[..rest.len().min(PATH_PART)]) {
            folder = openat(
                &folder,
                &rest[..slash],
                FOLDER | OFlags::PATH,
                Mode::empty(),
            )?;
            rest = &rest[slash + 1..];
        }
        let name = CString::new(rest).map_err(|_| Errno::INVAL)?;
        Ok((folder, name))
    }

    fn copy_attributes(
        &mut self,
        place: &ControlSocket,
        from_name: &CStr,
        to_name: &CStr,
        found: &Stat,
    ) -> Copied<()> {
        let to = &place.to;
        if self.ownership == Ownership::Kept {
            let (user, group) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
            chownat(
                to,
                to_name,
                Some(user),
                Some(group),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        // Before the mode, which may forbid it, except for access lists, which change the mode.
        let (from_path, to_path) = (entry_path(&place.from, from_name), entry_path(to, to_name));
        let names = self.attributes.list(&from_path)?;
        self.attributes.copy(&names.plain, &from_path, &to_path)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            // It was made just now, so it is no link that could be followed.
            chmodat(
                to,
                to_name,
                Mode::from_raw_mode(found.st_mode),
                AtFlags::empty(),
            )?;
        }
        self.attributes
            .copy(&names.access_lists, &from_path, &to_path)?;
        let times = Timestamps {
            last_access: time(found.st_atime, found.st_atime_nsec),
            last_modification: time(found.st_mtime, found.st_mtime_nsec),
        };
        utimensat(to, to_name, &times, AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl ControlSocket {
    fn identities(&self) -> Copied<[(u64, u64); 2]> {
        let identity = |folder: &OwnedFd| fstat(folder).map(|found| (found.st_dev, found.st_ino));
        Ok([identity(&self.from)?, identity(&self.to)?])
    }
}

/// Goes back to the folder that this one is in.
fn leave(place: &ControlSocket, parent: &Level) -> Copied<ControlSocket> {
    let up = |folder: &OwnedFd| openat(folder, "..", FOLDER, Mode::empty());
    let outer = ControlSocket {
        from: up(&place.from)?,
        to: up(&place.to)?,
    };
    // Somebody has moved it: what else is copied would go anywhere.
    if outer.identities()? != parent.identities {
        return Err(Errno::STALE);
    }
    Ok(outer)
}

fn is_folder(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}

fn time(seconds: i64, nanoseconds: impl TryInto<i64>) -> Timespec {
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.try_into().unwrap_or_default(),
    }
}
