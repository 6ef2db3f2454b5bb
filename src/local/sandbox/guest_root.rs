//! Pid 1 moves into the root of its machine and fills in what the kernel provides.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, move_mount, unmount,
};

use super::kernel::{self, MountAttributes};
use super::message::BootPlan;
use super::overlay::{Tree, clone_tree};
use super::step::{Failure, Step};

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Kernel files that tell about or act on the whole computer. Those that a kernel lacks are skipped.
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

/// Makes the first tree the root of this process, drops everything else, and mounts the rest in it.
pub(super) fn enter(plan: &BootPlan, trees: Vec<Tree>) -> Result<(), Failure> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .step("private mounts")?;
    let devices = clone_devices().step("device nodes")?;
    let mut trees = trees.into_iter();
    let root = trees
        .next()
        .ok_or(io::ErrorKind::InvalidData)
        .step("root file system")?;
    change_root(&root.mount).step("root file system")?;
    // The kernel lets a user namespace mount these only while it can see others of the kind.
    mount_kernel_files().step("mount of /proc and /sys")?;
    unmount(".", UnmountFlags::DETACH).step("old root file system")?;
    rustix::process::chdir("/").step("root file system")?;
    // From here on every path is one of the machine, symbolic links included.
    rustix::process::umask(rustix::fs::Mode::empty());
    for tree in trees {
        attach(&tree.mount, &tree.target).step(format!("mount on {}", tree.target.display()))?;
    }
    mount_devices(plan, devices).step("mount of /dev")?;
    mount_run(plan).step("mount of /run")?;
    mask().step("masks of kernel files")
}

fn clone_devices() -> io::Result<Vec<OwnedFd>> {
    DEVICES
        .iter()
        .map(|name| {
            let node = clone_tree(&Path::new("/dev").join(name), OpenTreeFlags::empty())?;
            // Read-only: input and output work, but nobody inside can change the mode of the host's node.
            kernel::set_mount_attributes(
                node.as_fd(),
                MountAttributes {
                    read_only: true,
                    no_set_user_id: true,
                    ..MountAttributes::default()
                },
            )?;
            Ok(node)
        })
        .collect()
}

fn change_root(root: &OwnedFd) -> io::Result<()> {
    move_mount(root, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(root)?;
    // The old root now lies on top of the new one, reachable as "." alone.
    rustix::process::pivot_root(".", ".")?;
    Ok(())
}

fn attach(tree: &OwnedFd, target: &Path) -> io::Result<()> {
    ensure_folder(target)?;
    move_mount(
        tree,
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS,
    )?;
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

fn mount_devices(plan: &BootPlan, devices: Vec<OwnedFd>) -> io::Result<()> {
    mount_new("tmpfs", "/dev", MountFlags::NOSUID, "mode=755,size=64m")?;
    for (name, node) in DEVICES.iter().zip(devices) {
        let path = Path::new("/dev").join(name);
        fs::File::create(&path)?;
        move_mount(
            &node,
            "",
            CWD,
            &path,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
    }
    // The group tty exists only where more than one group is mapped.
    let group = plan.first_user.map_or("", |_| ",gid=5");
    let no_exec = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_new(
        "devpts",
        "/dev/pts",
        no_exec,
        &format!("newinstance,ptmxmode=0666,mode=0620{group}"),
    )?;
    mount_new("tmpfs", "/dev/shm", PLAIN, &memory_options(plan, "1777"))?;
    for (link, target) in [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, link)?;
    }
    Ok(())
}

fn memory_options(plan: &BootPlan, mode: &str) -> String {
    match plan.memory_mib {
        0 => format!("mode={mode}"),
        all => format!("mode={mode},size={}m", all.div_ceil(2)),
    }
}

/// `/run` is fresh at each boot and holds what is different in each machine; `/etc` links there.
fn mount_run(plan: &BootPlan) -> io::Result<()> {
    mount_new("tmpfs", "/run", PLAIN, &memory_options(plan, "755"))?;
    fs::DirBuilder::new().mode(0o1777).create("/run/lock")?;
    fs::DirBuilder::new().mode(0o755).create("/run/fastvm")?;
    let name = &plan.hostname;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
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
