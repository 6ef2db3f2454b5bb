//! What trees take on a disk, and what is left of it.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// The longest path below a folder that is opened by it, in bytes: what is deeper gets a folder of its own to start from.
const LONGEST_PATH: usize = 2048;

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) total: u64,
    pub(crate) used: u64,
    /// What this user may still take.
    pub(crate) free: u64,
}

impl Space {
    /// Returns the room of the file system that holds a path. `None` if it does not tell.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let is_root = rustix::process::geteuid().is_root();
        let free = if is_root {
            found.f_bfree
        } else {
            found.f_bavail
        };
        (found.f_blocks > 0).then(|| Self {
            total: bytes(found.f_blocks),
            used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
            free: bytes(free),
        })
    }
}

/// A folder that is still to be looked into: a path below one that is open.
struct Pending {
    base: Option<Rc<OwnedFd>>,
    path: Vec<u8>,
}

/// Returns what a tree takes on disk, in bytes. A file with several names counts once. What cannot be looked into counts
/// as nothing.
pub(crate) fn disk_use(path: &Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let Ok(found) = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) else {
        return 0;
    };
    let mut used = blocks(&found);
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return used;
    }
    let mut names_seen = HashSet::new();
    let mut pending = vec![Pending {
        base: None,
        path: path.as_os_str().as_bytes().to_vec(),
    }];
    while let Some(folder) = pending.pop() {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match &folder.base {
            Some(base) => rustix::fs::openat(base, &*folder.path, flags, Mode::empty()),
            None => rustix::fs::openat(CWD, &*folder.path, flags, Mode::empty()),
        };
        let Ok(opened) = opened.map(Rc::new) else {
            continue;
        };
        let is_far = folder.base.is_none() || folder.path.len() > LONGEST_PATH;
        for name in names_in(&opened) {
            let Ok(found) = rustix::fs::statat(&opened, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                let (base, mut path) = match (&folder.base, is_far) {
                    (Some(base), false) => (base.clone(), folder.path.clone()),
                    _ => (opened.clone(), Vec::new()),
                };
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name.as_bytes());
                pending.push(Pending {
                    base: Some(base),
                    path,
                });
            } else if found.st_nlink > 1 && !names_seen.insert((found.st_dev, found.st_ino)) {
                continue;
            }
            used += blocks(&found);
        }
    }
    used
}

fn names_in(folder: &OwnedFd) -> Vec<CString> {
    let entries = Dir::read_from(folder).into_iter().flatten();
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned()));
    names
        .filter(|name| name.as_c_str() != c"." && name.as_c_str() != c"..")
        .collect()
}

fn blocks(found: &rustix::fs::Stat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or(0) * 512
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_file_with_two_names_counts_once_and_a_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        fs::create_dir(&top).unwrap();
        let empty = disk_use(&top);
        fs::write(top.join("one"), vec![1; 1 << 20]).unwrap();
        let one = disk_use(&top);
        assert!(one >= empty + (1 << 20));
        fs::hard_link(top.join("one"), top.join("two")).unwrap();
        fs::write(home.path().join("outside"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("../outside", top.join("link")).unwrap();
        assert!(disk_use(&top) < one + (1 << 19));
        assert_eq!(disk_use(&home.path().join("missing")), 0);
    }

    #[test]
    fn what_lies_deeper_than_any_path_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let mut folder: OwnedFd = fs::File::open(home.path()).unwrap().into();
        for _ in 0..3000 {
            let flags = OFlags::DIRECTORY | OFlags::RDONLY;
            rustix::fs::mkdirat(&folder, "deep", Mode::RWXU).unwrap();
            folder = rustix::fs::openat(&folder, "deep", flags, Mode::empty()).unwrap();
        }
        let path = format!("/proc/self/fd/{}/file", folder.as_raw_fd());
        let before = disk_use(home.path());
        fs::write(path, vec![1; 1 << 20]).unwrap();
        assert!(disk_use(home.path()) >= before + (1 << 20));
        fastvm_sandbox::remove_tree(&home.keep()).unwrap();
    }
}
