//! Reading what an ordinary user's guests made unreadable: outside they are that user, whose files have their modes.

use std::fs;
use std::io;

use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use super::kernel;

/// Lets this process, which must have one thread, read all files of its user whatever their modes. Root may do so anyway.
pub fn read_all_own_files() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if user == 0 {
        return Ok(());
    }
    // The first process of a user namespace may do everything there to the files of users that it maps.
    kernel::unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}
