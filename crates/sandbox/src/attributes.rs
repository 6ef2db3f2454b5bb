//! Extended attributes of files in copies.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use rustix::io::Errno;

/// The most that the kernel gives: so many bytes of names, and of a value.
const SPACE: usize = 64 * 1024;

/// Copies attributes by way of one buffer.
pub(super) struct Attributes {
    space: Vec<u8>,
}

/// The names of the attributes of a file.
pub(super) struct Names {
    pub(super) plain: Vec<CString>,
    /// Those that change the mode too.
    pub(super) access_lists: Vec<CString>,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            space: vec![0; SPACE],
        }
    }
}

impl Attributes {
    /// The attributes of a file, which may be a link.
    pub(super) fn list(&mut self, path: &Path) -> rustix::io::Result<Names> {
        let size = match llistxattr(path, &mut self.space[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            result => result?,
        };
        let (access_lists, plain) = self.space[..size]
            .split(|byte| *byte == 0)
            .filter_map(|name| CString::new(name).ok())
            .filter(|name| !name.is_empty())
            .partition(|name| name.to_bytes().starts_with(b"system."));
        Ok(Names {
            plain,
            access_lists,
        })
    }

    /// Gives these attributes of one file to another. Labels that this computer puts on files are left out where they cannot be set.
    pub(super) fn copy(
        &mut self,
        names: &[CString],
        from: &Path,
        to: &Path,
    ) -> rustix::io::Result<()> {
        for name in names {
            let copied = lgetxattr(from, &**name, &mut self.space[..])
                .and_then(|size| lsetxattr(to, &**name, &self.space[..size], XattrFlags::empty()));
            match copied {
                Err(
                    Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL | Errno::OVERFLOW,
                ) if !is_of_the_machine(name) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// Returns whether the machine can see it or the overlay needs it.
fn is_of_the_machine(name: &CStr) -> bool {
    let name = name.to_bytes();
    name == b"security.capability"
        || [&b"user."[..], b"trusted.", b"system.posix_acl_"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// A path to an entry of an open folder: the calls on attributes take no descriptor of a folder.
pub(super) fn entry_path(folder: &OwnedFd, name: &CStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    path.push(OsStr::from_bytes(name.to_bytes()));
    path
}
