//! Pseudo terminals of the machine's own `/dev/pts`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};

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
