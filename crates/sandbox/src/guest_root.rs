//! Pid 1 moves into the root of its machine and fills in what the kernel provides.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, move_mount, unmount,
};

use super::boot_error::{Failure, Step};
use super::message::BootPlan;
use super::overlay::clone_tree;
use super::terminal;

/// Kernel files that tell about or act on the whole computer. The kernel refuses what matters in them to
/// whoever is not root outside; not to see them is tidier. Those that a kernel lacks are skipped.
const MASKED_FILES: [&str; 6] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
];
const MASKED_FOLDERS: [&str; 4] = ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware"];
const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Files of the machine as they are before any program of it has run.
pub(super) struct Inner {
    pub(super) proc: Option<OwnedFd>,
    pub(super) terminals: OwnedFd,
    pub(super) null: OwnedFd,
}

/// Makes the current folder, which is the top of the tree that was built, the root of this process,
/// and drops everything else. A copy of `/proc` is kept only where it is needed: to let go of it makes the end of the
/// machine take longer.
pub(super) fn enter(plan: &BootPlan, keeps_proc: bool) -> Result<Inner, Failure> {
    change_root().step("root file system")?;
    // From here on every path is one of the machine, symbolic links included. The kernel lets a user
    // namespace mount these only while it can see others of the kind.
    rustix::process::umask(Mode::empty());
    mount_kernel_files().step("mount of /proc and /sys")?;
    unmount(".", UnmountFlags::DETACH).step("old root file system")?;
    rustix::process::chdir("/").step("root file system")?;
    mount_terminals(plan).step("mount of /dev/pts")?;
    mount_new("tmpfs", "/dev/shm", PLAIN, &memory_options(plan, "1777", 2))
        .step("mount of /dev/shm")?;
    mount_run(plan).step("mount of /run")?;
    let proc = keeps_proc.then(|| clone_tree(Path::new("/proc"), OpenTreeFlags::empty()));
    let proc = proc.transpose().step("detached copy of /proc")?;
    mask().step("masks of kernel files")?;
    Ok(Inner {
        proc,
        terminals: open("/dev/pts", OFlags::PATH | OFlags::DIRECTORY).step("folder /dev/pts")?,
        null: open("/dev/null", OFlags::RDWR).step("device /dev/null")?,
    })
}

fn open(path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn change_root() -> io::Result<()> {
    // A copy, because a mount that is locked to its place cannot become the root.
    let root = clone_tree(Path::new("."), OpenTreeFlags::AT_RECURSIVE)?;
    move_mount(&root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(&root)?;
    // The old root now lies on top of the new one, reachable as "." alone.
    rustix::process::pivot_root(".", ".")?;
    Ok(())
}

fn ensure_folder(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
}

fn mount_new(kind: &str, target: &str, flags: MountFlags, options: &str) -> io::Result<()> {
    ensure_folder(Path::new(target))?;
    Ok(mount(kind, target, kind, flags, &*CString::new(options)?)?)
}

fn mount_kernel_files() -> io::Result<()> {
    mount_new("proc", "/proc", PLAIN | MountFlags::NOEXEC, "")?;
    let read_only = PLAIN | MountFlags::NOEXEC | MountFlags::RDONLY;
    mount_new("sysfs", "/sys", read_only, "")
}

fn mount_terminals(plan: &BootPlan) -> io::Result<()> {
    if plan.first_user.is_some() {
        return Ok(()); // they are there already
    }
    mount_new(
        "devpts",
        "/dev/pts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        &terminal::mount_options(),
    )
}

/// A file system in memory of at most that part of the memory of the machine; all together take no more than it has.
fn memory_options(plan: &BootPlan, mode: &str, part: u64) -> String {
    match plan.memory_mib {
        0 => format!("mode={mode}"),
        all => format!("mode={mode},size={}m", all.div_ceil(part)),
    }
}

/// `/run` is fresh at each boot and holds what is different in each machine; `/etc` links there.
fn mount_run(plan: &BootPlan) -> io::Result<()> {
    mount_new("tmpfs", "/run", PLAIN, &memory_options(plan, "755", 4))?;
    fs::DirBuilder::new().mode(0o1777).create("/run/lock")?;
    fs::DirBuilder::new().mode(0o755).create("/run/fastvm")?;
    let name = &plan.hostname;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    fs::write("/run/fastvm/hostname", format!("{name}\n"))?;
    fs::write(
        "/run/fastvm/hosts",
        format!("127.0.0.1 localhost {name}\n::1 localhost ip6-localhost ip6-loopback\n"),
    )?;
    fs::write(
        "/run/fastvm/machine-id",
        format!("{}\n", plan.id.0.simple()),
    )
}

fn mask() -> io::Result<()> {
    for file in MASKED_FILES {
        if fs::symlink_metadata(file).is_ok() {
            let null = clone_tree(Path::new("/dev/null"), OpenTreeFlags::empty())?;
            move_mount(
                &null,
                "",
                CWD,
                file,
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
            )?;
        }
    }
    for folder in MASKED_FOLDERS {
        if fs::symlink_metadata(folder).is_ok() {
            let empty = PLAIN | MountFlags::NOEXEC | MountFlags::RDONLY;
            mount_new("tmpfs", folder, empty, "mode=755,size=4k")?;
        }
    }
    Ok(())
}
