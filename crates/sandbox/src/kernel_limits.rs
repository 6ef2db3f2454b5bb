//! What the kernel limits for each user: inotify instances, namespaces and the like. One machine must not use up what
//! others, and this computer, need.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, Uid, getrlimit, setrlimit};
use uuid::Uuid;

const FOLDER: &str = "/proc/sys/user";
/// A machine of an ordinary user may have one of so many parts of what that user may have.
const PARTS: u64 = 4;
/// The kernel counts for the owner of a user namespace. Each machine of root has an owner of its own from here on, who
/// owns nothing else.
const FIRST_OWNER: u32 = 0x7000_0000;
const OWNERS: u32 = 0x0fff_ffff;

/// Returns what a machine of an ordinary user may have, by file name. To be asked before its user namespace is made,
/// in which every limit reads as infinite.
pub(super) fn shares() -> Vec<(std::ffi::OsString, u64)> {
    let files = fs::read_dir(FOLDER).into_iter().flatten();
    files
        .filter_map(|file| {
            let file = file.ok()?;
            let limit: u64 = fs::read_to_string(file.path()).ok()?.trim().parse().ok()?;
            Some((file.file_name(), limit.div_ceil(PARTS)))
        })
        .collect()
}

/// Lowers the limits of this process that the kernel counts for its user, too. All that runs in user namespaces that it
/// makes then keeps to them, together.
pub(super) fn lower_own() -> io::Result<()> {
    for resource in [Resource::Memlock, Resource::Msgqueue, Resource::Sigpending] {
        if let Some(most) = getrlimit(resource).maximum {
            let share = Some(most.div_ceil(PARTS));
            let lowered = Rlimit {
                current: share,
                maximum: share,
            };
            setrlimit(resource, lowered)?;
        }
    }
    Ok(())
}

/// Lets nobody make a control group namespace below the present user namespace but the one that is made next.
pub(super) fn keep_control_groups() {
    set(&[("max_cgroup_namespaces".into(), 1)]);
}

/// Sets the limits of the present user namespace. A kernel that lacks one has nothing to limit.
pub(super) fn set(limits: &[(std::ffi::OsString, u64)]) {
    for (file, limit) in limits {
        fs::write(std::path::Path::new(FOLDER).join(file), limit.to_string()).unwrap_or_default();
    }
}

/// Makes this process of root the owner of the user namespace that it makes next, with all its capabilities.
pub(super) fn become_owner(machine: Uuid) -> io::Result<()> {
    let [a, b, c, d, ..] = *machine.as_bytes();
    let owner = FIRST_OWNER + (u32::from_be_bytes([a, b, c, d]) & OWNERS);
    match rustix::thread::set_thread_res_uid(None, Uid::from_raw(owner), None) {
        // A container may know fewer users; then machines share the limits of root.
        Err(rustix::io::Errno::INVAL) => return Ok(()),
        result => result?,
    }
    let mut capabilities = rustix::thread::capabilities(None)?;
    capabilities.effective = capabilities.permitted;
    Ok(rustix::thread::set_capabilities(None, capabilities)?)
}
