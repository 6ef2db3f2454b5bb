//! A folder that is held open. Every step names one entry of it and never follows a link there, so nothing can be swapped under a walk.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::Folder;

#[cfg(not(unix))]
mod portable;
#[cfg(not(unix))]
pub(crate) use portable::Folder;

mod descent;
pub(crate) use descent::FolderStack;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::format::mtime::Mtime;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    Special(Special),
}

/// What is neither file, folder nor link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Pipe,
    Socket,
    Device,
    Unknown,
}

impl Kind {
    /// What the bits of a mode say that tell kinds apart.
    pub(crate) fn of_mode(mode: u32) -> Self {
        match mode & 0o17_0000 {
            0o10_0000 => Self::File,
            0o04_0000 => Self::Folder,
            0o12_0000 => Self::Link,
            0o01_0000 => Self::Special(Special::Pipe),
            0o14_0000 => Self::Special(Special::Socket),
            0o02_0000 | 0o06_0000 => Self::Special(Special::Device),
            _ => Self::Special(Special::Unknown),
        }
    }

    pub(crate) fn is_special(self) -> bool {
        matches!(self, Self::Special(_))
    }

    /// How a message calls one.
    pub(crate) fn called(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Link => "a link",
            Self::Special(Special::Pipe) => "a pipe",
            Self::Special(Special::Socket) => "a socket",
            Self::Special(Special::Device) => "a device",
            Self::Special(Special::Unknown) => "a special file",
        }
    }
}

/// Bits of a mode that say who may do what.
pub(crate) const PERMISSIONS: u32 = 0o777;

/// What the system says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: Kind,
    /// Permission bits, without set-uid and set-gid.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) modified: Mtime,
    /// When the system last changed anything about it.
    pub(crate) changed: Mtime,
    pub(crate) identity: (u64, u64),
    pub(crate) links: u64,
    /// User and group, by number; zeros where the system has none.
    pub(crate) owner: (u32, u32),
    /// Bytes of disk it takes; less than the size when it has holes.
    pub(crate) allocated: u64,
}

impl Meta {
    /// Returns whether it is a file as it was noted, with these permissions where the system has any.
    pub(crate) fn is_as(&self, (size, modified): (u64, Mtime), mode: u32) -> bool {
        let permitted = !cfg!(unix) || self.mode & PERMISSIONS == mode & PERMISSIONS;
        let same = self.size == size && self.modified.agrees_with(modified);
        self.kind == Kind::File && same && permitted
    }

    /// Returns whether nothing was written meanwhile. The disk it takes may change later: systems put off where content goes.
    pub(crate) fn is_unchanged(&self, now: &Self) -> bool {
        (self.identity, self.size, self.modified, self.changed)
            == (now.identity, now.size, now.modified, now.changed)
    }
}

/// Returns whether an error of making a link says that none may be made there: by this user, or on this file system.
pub(crate) fn refuses_links(error: &io::Error) -> bool {
    /// What Windows says to a user who may make none.
    const PRIVILEGE_NOT_HELD: i32 = 1314;
    let is_refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
    is_refused.contains(&error.kind())
        || cfg!(windows) && error.raw_os_error() == Some(PRIVILEGE_NOT_HELD)
}

impl Folder {
    /// The parent of a path, and the name in it.
    pub(crate) fn open_parent(path: &Path) -> io::Result<(Self, OsString)> {
        let name = path.file_name().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path has no name of its own",
            )
        })?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Ok((Self::open(parent)?, name.to_owned()))
    }

    /// Removes an entry and all below it; no entry is fine. What can't be removed is left.
    pub(crate) fn remove_tree(&self, name: &OsStr) {
        if let Ok(child) = self.folder(name) {
            child.clear();
            drop(child);
            let _ = self.remove_folder(name);
        } else if self.remove_file(name).is_err() {
            // An empty folder goes even where no more files may be opened.
            let _ = self.remove_folder(name);
        }
    }

    /// Removes what is in this folder. Folders in folders are moved up and removed then, so that two open files are enough for any
    /// depth: it may be their number that ran out.
    fn clear(&self) {
        let mut number = 0;
        loop {
            let before = number;
            for entry in self.names().unwrap_or_default() {
                let Ok(inner) = self.folder(&entry) else {
                    let _ = self.remove_file(&entry);
                    continue;
                };
                for name in inner.names().unwrap_or_default() {
                    if inner.remove_file(&name).is_err() && inner.remove_folder(&name).is_err() {
                        let up = format!(".fastvm-up-{number}");
                        number += u64::from(inner.rename(&name, self, OsStr::new(&up)).is_ok());
                    }
                }
                drop(inner);
                let _ = self.remove_folder(&entry);
            }
            if number == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_may_not_be_made_are_told_from_other_failures() {
        let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
        assert!(refused.into_iter().all(|kind| refuses_links(&kind.into())));
        for other in [io::ErrorKind::StorageFull, io::ErrorKind::AlreadyExists] {
            assert!(!refuses_links(&other.into()));
        }
        assert_eq!(
            refuses_links(&io::Error::from_raw_os_error(1314)),
            cfg!(windows)
        );
    }
}
