//! Paths of a machine, walked from outside. Whatever links root inside has planted, they never lead out.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};

/// The root of a machine as an open folder.
#[derive(Debug)]
pub(super) struct InnerRoot {
    folder: OwnedFd,
    first_user: Option<u32>,
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl InnerRoot {
    pub(super) fn open(path: &str, first_user: Option<u32>) -> io::Result<Self> {
        Ok(Self {
            folder: rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?,
            first_user,
        })
    }

    pub(super) fn into_descriptor(self) -> OwnedFd {
        self.folder
    }

    /// Opens a folder of the machine, and makes what is missing of it, owned by its root.
    pub(super) fn ensure_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.open_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let mut so_far = PathBuf::from("/");
        let mut folder = self.open_folder(&so_far)?;
        for name in path.components() {
            let Component::Normal(name) = name else {
                continue;
            };
            so_far.push(name);
            folder = match self.open_folder(&so_far) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_folder(folder.as_fd(), name)?;
                    self.open_folder(&so_far)?
                }
                result => result?,
            };
        }
        Ok(folder)
    }

    /// Opens a file or folder of the machine, only to mount on it.
    pub(super) fn open_path(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_with(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW)
    }

    fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_with(path, FOLDER)
    }

    fn open_with(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat2(
            &self.folder,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?)
    }

    fn make_folder(&self, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
        if let Some(first) = self.first_user {
            let (user, group) = (Uid::from_raw(first), Gid::from_raw(first));
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(parent, name, Some(user), Some(group), flags)?;
        }
        Ok(())
    }
}
