//! Folders by their path, for systems without descriptors of folders. Each step looks at the entry itself and refuses links on the way.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::ops::Range;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Kind, Meta, Special};
use crate::format::mtime::Mtime;

/// What it takes to change the times of a folder, and to open it at all.
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

/// A folder, by its full path.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens a folder that the user named: links are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let full = fs::canonicalize(path)?;
        if fs::metadata(&full)?.is_dir() {
            Ok(Self(full))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Opens a folder in this one.
    pub(crate) fn folder(&self, name: &OsStr) -> io::Result<Self> {
        match self.meta(name)?.kind {
            Kind::Folder => Ok(Self(self.0.join(name))),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Opens a file in this folder to read.
    pub(crate) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        match self.meta(name)?.kind {
            Kind::File => File::open(self.0.join(name)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            )),
        }
    }

    /// Opens a file in this folder to go on writing it.
    pub(crate) fn open_written(&self, name: &OsStr) -> io::Result<File> {
        match self.meta(name)?.kind {
            Kind::File => File::options()
                .read(true)
                .write(true)
                .open(self.0.join(name)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// As [`open_written`](Self::open_written), and makes the file if there is none.
    pub(crate) fn open_or_create(&self, name: &OsStr) -> io::Result<File> {
        match self.create_file(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_written(name),
            made => made,
        }
    }

    /// No holes are made here.
    pub(crate) fn clear_part(_file: &File, _part: &Range<u64>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes a file; one that exists is an error.
    pub(crate) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        File::options()
            .write(true)
            .create_new(true)
            .open(self.0.join(name))
    }

    pub(crate) fn create_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    pub(crate) fn meta(&self, name: &OsStr) -> io::Result<Meta> {
        let path = self.0.join(name);
        let data = fs::symlink_metadata(&path)?;
        Ok(match data.is_symlink() {
            true => meta(&data, None),
            false => meta(&data, Information::of_path(&path)),
        })
    }

    pub(crate) fn own_meta(&self) -> io::Result<Meta> {
        Ok(meta(&fs::metadata(&self.0)?, Information::of_path(&self.0)))
    }

    pub(crate) fn file_meta(file: &File) -> io::Result<Meta> {
        Ok(meta(&file.metadata()?, Information::of_file(file)))
    }

    /// Reads at a place, whatever others do with the same file.
    #[cfg(windows)]
    pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(file, into, at)
    }

    /// Writes all of it at a place.
    #[cfg(windows)]
    pub(crate) fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let got = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
            bytes = &bytes[got..];
            at += got as u64;
        }
        Ok(())
    }

    pub(crate) fn is_readable(&self, name: &OsStr, kind: Kind) -> bool {
        let path = self.0.join(name);
        if kind == Kind::Folder {
            fs::read_dir(path).is_ok()
        } else {
            File::open(path).is_ok()
        }
    }

    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    pub(crate) fn read_link(&self, name: &OsStr) -> io::Result<OsString> {
        Ok(OsString::from(
            fs::read_link(self.0.join(name))?
                .to_string_lossy()
                .replace('\\', "/"),
        ))
    }

    pub(crate) fn create_link(&self, name: &OsStr, text: &OsStr) -> io::Result<()> {
        #[cfg(windows)]
        {
            let target = text.to_string_lossy().replace('/', "\\");
            if fs::metadata(self.0.join(&target)).is_ok_and(|target| target.is_dir()) {
                std::os::windows::fs::symlink_dir(target, self.0.join(name))
            } else {
                std::os::windows::fs::symlink_file(target, self.0.join(name))
            }
        }
        #[cfg(not(windows))]
        {
            let _ = (name, text);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Makes `name` another name of the file `from` in `folder`.
    pub(crate) fn create_hard_link(
        &self,
        name: &OsStr,
        folder: &Self,
        from: &OsStr,
    ) -> io::Result<()> {
        fs::hard_link(folder.0.join(from), self.0.join(name))
    }

    pub(crate) fn rename(&self, name: &OsStr, to: &Self, to_name: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(name), to.0.join(to_name))
    }

    pub(crate) fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(crate) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    /// Opens a file in this folder to give it its time.
    pub(crate) fn open_to_settle(&self, name: &OsStr) -> io::Result<File> {
        match self.meta(name)?.kind {
            Kind::File => File::options()
                .access_mode(FILE_WRITE_ATTRIBUTES)
                .open(self.0.join(name)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Gives this folder its time; the system keeps no modes.
    pub(crate) fn settle(&self, mode: u32, modified: Mtime) -> io::Result<()> {
        let folder = File::options()
            .access_mode(FILE_WRITE_ATTRIBUTES)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
            .open(&self.0)?;
        Self::settle_file(&folder, mode, modified)
    }

    /// Gives a file its time.
    pub(crate) fn settle_file(file: &File, _mode: u32, modified: Mtime) -> io::Result<()> {
        let parts = Duration::from_nanos(modified.nanos.into());
        let whole = Duration::from_secs(modified.seconds.unsigned_abs());
        let time = if modified.seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        time.and_then(|time| time.checked_add(parts))
            .map_or(Ok(()), |time| file.set_modified(time))
    }

    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the same shape as where it can fail"
    )]
    pub(crate) fn settle_link(&self, _name: &OsStr, _modified: Mtime) -> io::Result<()> {
        Ok(())
    }

    /// The system has no owners by number.
    #[expect(clippy::unused_self, reason = "the same shape as where it can succeed")]
    pub(crate) fn give(&self, _name: &OsStr, _owner: (u32, u32)) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The standard library can't tell; a full disk is noticed when it happens.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the same shape as where it can fail"
    )]
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Which file it is, and how many names it has; the standard library does not tell.
struct Information {
    identity: (u64, u64),
    links: u64,
}

impl Information {
    /// Follows links. `None` for what cannot be opened.
    fn of_path(path: &Path) -> Option<Self> {
        Self::of(winapi_util::Handle::from_path_any(path).ok()?)
    }

    fn of_file(file: &File) -> Option<Self> {
        Self::of(winapi_util::HandleRef::from_file(file))
    }

    fn of(handle: impl winapi_util::AsHandleRef) -> Option<Self> {
        let found = winapi_util::file::information(handle).ok()?;
        Some(Self {
            identity: (found.volume_serial_number(), found.file_index()),
            links: found.number_of_links(),
        })
    }
}

fn meta(data: &Metadata, information: Option<Information>) -> Meta {
    let (identity, links) = information.map_or(((0, 0), 1), |found| (found.identity, found.links));
    let kind = if data.is_symlink() {
        Kind::Link
    } else if data.is_dir() {
        Kind::Folder
    } else if data.is_file() {
        Kind::File
    } else {
        Kind::Special(Special::Unknown)
    };
    let modified = data.modified().map(moment).unwrap_or_default();
    Meta {
        kind,
        mode: if kind == Kind::Folder { 0o755 } else { 0o644 },
        size: data.len(),
        modified,
        changed: modified,
        identity,
        links,
        owner: (0, 0),
        allocated: data.len(),
    }
}

fn moment(time: SystemTime) -> Mtime {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Mtime {
            seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            nanos: after.subsec_nanos(),
        },
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => Mtime {
                    seconds: -seconds,
                    nanos: 0,
                },
                nanos => Mtime {
                    seconds: -seconds - 1,
                    nanos: 1_000_000_000 - nanos,
                },
            }
        }
    }
}
