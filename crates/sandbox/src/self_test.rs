//! Whether machines work here, found by starting one.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;

use uuid::Uuid;

use super::cgroup::Groups;
use super::error::Error;
use super::host::Host;
use super::remove_tree;
use super::spec::{BootSpec, Rootfs};

/// What a start takes on a disk, with a margin: bytes, and files.
const TRIAL_BYTES: u64 = 8 << 20;
const TRIAL_FILES: u64 = 256;

/// What the note says besides the boot where machines work only without control groups.
const WITHOUT_GROUPS: &str = "without control groups\n";

/// Stands in the place of the mark of a data folder.
pub(super) const MARK: &str = "trial";

/// Starts and kills a machine, unless one of this user has worked since this computer was started. Where
/// control groups look as if they could be made but cannot, the host goes without.
pub(super) fn run_once(host: &mut Host, images: &Path, rootfs: &Rootfs) -> Result<(), Error> {
    let mut hasher = DefaultHasher::new();
    if let Rootfs::Directory(path) = rootfs {
        path.hash(&mut hasher);
    }
    let user = rustix::process::geteuid().as_raw();
    let note = images.join(format!("works-{user}-{:016x}", hasher.finish()));
    let mut boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let known = fs::read_to_string(&note).unwrap_or_default();
    if !boot.is_empty() && known.starts_with(&boot) {
        if known.ends_with(WITHOUT_GROUPS) {
            host.groups = Groups::none();
        }
        return Ok(());
    }
    let mut result = start_and_kill(host, images);
    if matches!(&result, Err(Error::Boot { step, .. }) if step == "control group") {
        host.groups = Groups::none();
        boot.push_str(WITHOUT_GROUPS);
        result = start_and_kill(host, images);
    }
    if matches!(&result, Err(error) if error.kind() == Some(io::ErrorKind::StorageFull))
        && has_no_room(images)
    {
        // It says nothing about this computer, and what is there must be seen and deleted.
        return Ok(());
    }
    result.map_err(|error| explain(error, images))?;
    let fresh = images.join(format!("works-{}", Uuid::new_v4().simple()));
    fs::write(&fresh, boot)
        .and_then(|()| fs::rename(&fresh, &note))
        .map_err(Error::file(&note))
}

/// Starts and kills a machine.
pub(super) fn run(host: &Host, images: &Path) -> Result<(), Error> {
    start_and_kill(host, images).map_err(|error| explain(error, images))
}

/// Returns whether a file system has less room than a start takes.
fn has_no_room(images: &Path) -> bool {
    rustix::fs::statvfs(images).is_ok_and(|found| {
        found.f_bavail.saturating_mul(found.f_frsize) < TRIAL_BYTES || found.f_favail < TRIAL_FILES
    })
}

fn start_and_kill(host: &Host, images: &Path) -> Result<(), Error> {
    let folder = images.join(format!("trial-{}", Uuid::new_v4().simple()));
    let result = start_and_kill_in(host, &folder);
    remove_tree::remove_tree(&folder)?;
    result
}

fn start_and_kill_in(host: &Host, folder: &Path) -> Result<(), Error> {
    let upper = folder.join("upper");
    host.create_disk(&upper)?;
    // An engine that cleans up at the same time must not take it for one of its own that has ended.
    let host = Host {
        mark: String::from(MARK),
        ..host.clone()
    };
    let spec = BootSpec {
        id: Uuid::new_v4(),
        nonce: Uuid::new_v4(),
        hostname: String::from("trial"),
        run: folder.join("run"),
        layers: Vec::new(),
        upper,
        work: folder.join("work"),
        volumes: Vec::new(),
        cpus: 0,
        memory_mib: 64,
    };
    host.boot(&spec)?.kill()
}

/// Turns the failed step of a start into what is missing and how to get it.
fn explain(error: Error, images: &Path) -> Error {
    let Error::Boot { step, source } = error else {
        return error;
    };
    let hint = match (step.as_str(), source.raw_os_error()) {
        ("new user namespace" | "new namespaces", Some(libc::ENOSPC)) => {
            "raise the limit with `sudo sysctl user.max_user_namespaces=15000`"
        }
        ("new user namespace", Some(libc::EPERM)) if is("unprivileged_userns_clone", "0") => {
            "allow user namespaces with `sudo sysctl kernel.unprivileged_userns_clone=1`"
        }
        (_, Some(libc::EPERM | libc::EACCES))
            if is("apparmor_restrict_unprivileged_userns", "1") =>
        {
            "AppArmor forbids user namespaces: run it as root, or add a profile with \
             `profile fastvm /path/to/fastvm flags=(unconfined) { userns, }`"
        }
        ("new user namespace" | "new namespaces", Some(libc::EPERM)) => {
            "this container forbids namespaces: run the container with `--security-opt seccomp=unconfined` or \
             `--privileged`, or fastvm outside"
        }
        ("filter of system calls", Some(libc::EINVAL)) => {
            "this kernel cannot filter system calls; boot one that has CONFIG_SECCOMP_FILTER"
        }
        (step, Some(libc::EPERM)) if step.contains("/proc") => {
            "this container hides parts of /proc: run the container with `--security-opt systempaths=unconfined` or \
             `--privileged`, or fastvm outside"
        }
        (step, _) if step.starts_with("overlay") || step.starts_with("layer") => {
            return Error::unsupported(
                format!("{step}: {source}"),
                format!(
                    "the file system of {} takes no overlays; set FASTVM_LOCAL_DIR to a folder on \
                     ext4, xfs, btrfs or tmpfs",
                    images.display()
                ),
            );
        }
        _ => return Error::Boot { step, source },
    };
    Error::unsupported(format!("{step}: {source}"), hint)
}

fn is(setting: &str, value: &str) -> bool {
    let read: io::Result<String> = fs::read_to_string(format!("/proc/sys/kernel/{setting}"));
    read.is_ok_and(|text| text.trim() == value)
}
