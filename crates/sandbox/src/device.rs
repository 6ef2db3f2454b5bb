//! The `/dev` of a machine: a small file system of its own with the six harmless devices.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount};

use super::inner_path::InnerRoot;
use super::kernel::{self, MountAttributes};
use super::overlay::{attach_at, clone_tree};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Builds `/dev` in the current folder, with these terminals if they are made already, and moves it into place.
pub(super) fn mount_all(
    root: &InnerRoot,
    first_user: Option<u32>,
    terminals: Option<&OwnedFd>,
) -> io::Result<()> {
    let owner = first_user.unwrap_or(0);
    let options = match first_user {
        Some(first) => format!("mode=755,size=1m,uid={first},gid={first}"),
        None => String::from("mode=755,size=1m"),
    };
    let target = root.ensure_folder(Path::new("/dev"))?;
    fs::create_dir("dev")?;
    let options = CString::new(options)?;
    mount("tmpfs", "dev", "tmpfs", MountFlags::NOSUID, &*options)?;
    for name in ["pts", "shm"] {
        let path = Path::new("dev").join(name);
        fs::create_dir(&path)?;
        lchown(&path, Some(owner), Some(owner))?;
    }
    for (name, target) in LINKS {
        let path = Path::new("dev").join(name);
        symlink(target, &path)?;
        lchown(&path, Some(owner), Some(owner))?;
    }
    if let Some(terminals) = terminals {
        let path = Path::new("dev/pts");
        move_mount(
            terminals,
            "",
            CWD,
            path,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
    }
    for name in DEVICES {
        let path = Path::new("dev").join(name);
        fs::File::create(&path)?;
        let node = clone_device(name)?;
        move_mount(
            &node,
            "",
            CWD,
            &path,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
    }
    let whole = clone_tree(Path::new("dev"), OpenTreeFlags::AT_RECURSIVE)?;
    attach_at(&whole, target.as_fd())
}

/// Read-only: input and output work, but nobody inside can change the mode of the host's node.
fn clone_device(name: &str) -> io::Result<OwnedFd> {
    let node = clone_tree(&Path::new("/dev").join(name), OpenTreeFlags::empty())?;
    kernel::set_mount_attributes(
        node.as_fd(),
        MountAttributes {
            read_only: true,
            no_set_user_id: true,
            ..MountAttributes::default()
        },
    )?;
    Ok(node)
}
