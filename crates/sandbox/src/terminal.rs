//! Pseudo terminals of the machine's own `/dev/pts`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

/// How many terminals a machine may have; the kernel has 4096 for all.
const MOST_TERMINALS: u32 = 256;
/// The group `tty`, by which programs like `write` find terminals.
const TTY_GROUP: u32 = 5;

/// Returns a mount of terminals for a machine of root, attached nowhere.
///
/// What is made in the mount namespace that the computer started with may use the 1024 terminals that the kernel keeps
/// back, so that a machine that takes all others leaves some.
pub(super) fn mount_apart(first_user: u32) -> io::Result<OwnedFd> {
    let context = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [
        ("ptmxmode", String::from("0666")),
        ("mode", String::from("0620")),
        ("max", MOST_TERMINALS.to_string()),
        ("gid", (first_user + TTY_GROUP).to_string()),
    ] {
        fsconfig_set_string(&context, key, value)?;
    }
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?)
}

/// Returns the options of a mount of terminals that an ordinary user makes, who has no group but his own.
pub(super) fn mount_options() -> String {
    format!("newinstance,ptmxmode=0666,mode=0620,max={MOST_TERMINALS}")
}

/// Returns the two ends of a new terminal: the one for the caller and the one for the program.
///
/// # Errors
/// `EXDEV` if something inside lies on the device that makes terminals: a FIFO there would hold init up.
pub(super) fn open(terminals: impl AsFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = rustix::fs::openat2(
        terminals,
        "ptmx",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS,
    )?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    Ok((master, slave))
}
