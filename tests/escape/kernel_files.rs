//! Files of the kernel below `/proc` and `/sys` that change the whole computer.

use std::fs::{self, File};
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_remount};

use crate::lab::Lab;
use crate::probe::{self, Report, attack_inside};
use crate::syscalls;

/// What a namespace of the machine has of its own, below which root inside may write.
const OWN: [&str; 12] = [
    "/proc/sys/net/",
    "/proc/sys/user/",
    "/proc/sys/fs/mqueue/",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/msg",
    "/proc/sys/kernel/shm",
    "/proc/sys/kernel/sem",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/auto_msgmni",
    "/proc/sys/kernel/pid_max",
    "/sys/devices/virtual/net/",
];

#[test]
fn only_files_of_its_own_namespaces_can_be_written() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    for how in ["as they are", "mounted anew"] {
        let findings = attack_inside(&guest.machine, "kernel_files", &[how]);
        let writable = findings.succeeded();
        // So the probe does find what it may write.
        assert!(
            writable.iter().any(|path| path.starts_with(OWN[0])),
            "{how}: {writable:?}"
        );
        let foreign = |path: &&&str| !OWN.iter().any(|own| path.starts_with(own));
        let foreign: Vec<_> = writable.iter().filter(foreign).collect();
        assert!(foreign.is_empty(), "{how}: {foreign:?}");
    }
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    if arguments[0] == "mounted anew" {
        mount_remount("/sys", MountFlags::empty(), c"").unwrap_or_default();
        mount_remount("/proc/sys", MountFlags::BIND, c"").unwrap_or_default();
        let spaces = libc::CLONE_NEWNS;
        let spaces = usize::try_from(spaces).unwrap();
        syscalls::call(libc::SYS_unshare, &[spaces]).unwrap();
        mount("proc", "/proc", "proc", MountFlags::empty(), None).unwrap_or_default();
        mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).unwrap_or_default();
    }
    for folder in [
        "/proc/sys",
        "/proc/irq",
        "/proc/fs",
        "/proc/bus",
        "/proc/driver",
        "/sys",
    ] {
        try_all(report, Path::new(folder));
    }
    for entry in fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        // A mask shows a device, not a file, and links lead to what this process has of its own.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            report.attempt(path.display(), File::options().write(true).open(&path));
        }
    }
}

/// Opens every file for writing, and writes nothing.
fn try_all(report: &Report, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() {
            try_all(report, &path);
        } else if kind.is_file() && File::options().write(true).open(&path).is_ok() {
            report.attempt(path.display(), Ok(()));
        }
    }
}
