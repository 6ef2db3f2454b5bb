//! The masks over what `/proc` and `/sys` tell of the whole computer: taken off, looked behind, or
//! looked around.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timestamps, mknodat};
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind, mount_remount,
    move_mount, open_tree, unmount,
};

use crate::lab::{Guest, Lab, is_root};
use crate::probe::{self, Findings, Report, attack_inside, attack_outside};
use crate::syscalls::{self, call};

/// What is masked, of what there is.
const MASKED: [&str; 7] = [
    "proc/keys",
    "proc/kcore",
    "proc/timer_list",
    "proc/sysrq-trigger",
    "proc/latency_stats",
    "proc/sched_debug",
    "sys/firmware",
];
const PROC: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;
const WAYS: [&str; 9] = [
    "as it is",
    "unmount",
    "unmount in a mount namespace",
    "unmount in a user namespace",
    "move",
    "bind",
    "tree",
    "fresh",
    "fresh in a process namespace",
];

fn look(guest: &Guest, way: &str) -> Findings {
    attack_inside(&guest.machine, "masks", &[way])
}

#[test]
fn masks_cover_what_they_are_made_for() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let findings = look(&guest, "as it is");
    let seen: Vec<&str> = findings.values("seen").collect();
    assert_eq!(seen, Vec::<&str>::new(), "{findings:?}");
    // Where there is no mask the probe sees what there is.
    let outside = attack_outside("masks", &["outside"]);
    assert!(
        outside.values("seen").any(|path| path == "/proc/keys"),
        "{outside:?}"
    );
}

/// Root inside can take the masks off. Whatever becomes of them, the kernel must tell nothing of the host and do nothing
/// to it. Only the names of the keys of an ordinary user, whose number root inside has, can be seen.
#[test]
fn what_is_behind_the_masks_tells_nothing() {
    let key = format!("fastvm-escape-{}", uuid::Uuid::new_v4());
    let _key = syscalls::Key::new(&key).unwrap();
    let outside = attack_outside("masks", &["outside"]);
    let tells = |findings: &Findings| findings.values("key").any(|line| line.contains(&key));
    assert!(tells(&outside), "{outside:?}");
    let lab = Lab::new();
    for way in WAYS {
        let guest = probe::boot(&lab);
        let findings = look(&guest, way);
        assert!(!is_root() || !tells(&findings), "{way}: {findings:?}");
        assert_eq!(
            findings.succeeded(),
            Vec::<&str>::new(),
            "{way}: {findings:?}"
        );
    }
}

#[test]
fn what_was_mounted_at_the_start_stays() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let findings = attack_inside(&guest.machine, "masks", &["mounts"]);
    assert_eq!(findings.succeeded(), Vec::<&str>::new(), "{findings:?}");
    assert_eq!(
        guest.says("echo lost > /dev/null; head -c 3 /dev/zero | wc -c"),
        "3\n"
    );
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let way = arguments[0].as_str();
    match way {
        "outside" => look_behind(report, Path::new("/")),
        "as it is" => look_behind_and_use(report, Path::new("/")),
        "unmount" => unmount_all(report),
        "unmount in a mount namespace" => {
            unshare(libc::CLONE_NEWNS);
            unmount_all(report);
        }
        "unmount in a user namespace" => {
            unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS);
            unmount_all(report);
        }
        "move" => {
            for (count, masked) in MASKED.into_iter().enumerate() {
                let (from, to) = (Path::new("/").join(masked), format!("/root/{count}"));
                if from.is_dir() {
                    fs::create_dir(&to).unwrap();
                } else {
                    fs::write(&to, "").unwrap();
                }
                let moved = move_mount(CWD, &from, CWD, &to, MoveMountFlags::empty());
                report.say(format!("move of {masked}"), moved.is_ok());
            }
            look_behind_and_use(report, Path::new("/"));
        }
        "bind" => elsewhere(report, &|name, target| {
            mount_bind(Path::new("/").join(name), target)
        }),
        "tree" => elsewhere(report, &|name, target| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let tree = open_tree(CWD, Path::new("/").join(name), flags)?;
            move_mount(
                &tree,
                "",
                CWD,
                target,
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
            )
        }),
        "fresh" => mount_fresh(report),
        "fresh in a process namespace" => {
            unshare(
                libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET,
            );
            syscalls::in_child(|| mount_fresh(report));
        }
        "mounts" => change_mounts(report),
        other => panic!("{other}"),
    }
}

fn unshare(spaces: i32) {
    call(libc::SYS_unshare, &[usize::try_from(spaces).unwrap()]).unwrap();
}

fn unmount_all(report: &Report) {
    for masked in MASKED {
        let path = Path::new("/").join(masked);
        // One may lie on another.
        while unmount(&path, UnmountFlags::DETACH).is_ok() {
            report.say("unmounted", masked);
        }
    }
    look_behind_and_use(report, Path::new("/"));
    unmount("/proc", UnmountFlags::DETACH).unwrap_or_default();
    look_behind_and_use(report, Path::new("/"));
}

/// Shows `/proc` and `/sys` in another place.
fn elsewhere(report: &Report, show: &dyn Fn(&str, &Path) -> rustix::io::Result<()>) {
    let top = PathBuf::from("/root/elsewhere");
    for name in ["proc", "sys"] {
        let target = top.join(name);
        fs::create_dir_all(&target).unwrap();
        report.say(format!("show {name}"), show(name, &target).is_ok());
    }
    look_behind_and_use(report, &top);
}

fn mount_fresh(report: &Report) {
    elsewhere(report, &|name, target| {
        let kind = if name == "proc" { "proc" } else { "sysfs" };
        mount(kind, target, kind, MountFlags::empty(), None)
    });
}

/// Says which masked files show, and tries what they are masked for.
fn look_behind(report: &Report, top: &Path) {
    for masked in MASKED {
        let path = top.join(masked);
        let Ok(found) = rustix::fs::statfs(&path) else {
            continue;
        };
        if [PROC, SYSFS].contains(&(found.f_type as u64)) {
            report.say("seen", path.display());
        }
    }
    let keys = fs::read_to_string(top.join("proc/keys")).unwrap_or_default();
    keys.lines().for_each(|line| report.say("key", line));
}

fn look_behind_and_use(report: &Report, top: &Path) {
    look_behind(report, top);
    use_masked(report, top);
}

/// Tries what masked files are masked for.
fn use_masked(report: &Report, top: &Path) {
    for name in [
        "kcore",
        "sysrq-trigger",
        "timer_list",
        "sched_debug",
        "latency_stats",
    ] {
        let path = top.join("proc").join(name);
        let is_real = rustix::fs::statfs(&path).is_ok_and(|found| found.f_type as u64 == PROC);
        if is_real {
            let read = File::open(&path).and_then(|mut file| file.read_exact(&mut [0]));
            report.attempt(format!("read {name}"), read);
            // Nothing is written.
            let opened = File::options().write(true).open(&path);
            report.attempt(format!("open {name} for writing"), opened);
        }
    }
}

/// Tries to change what was mounted at the start.
fn change_mounts(report: &Report) {
    let own_space = libc::CLONE_NEWNS;
    for (of, spaces) in [
        ("", 0),
        (" in a mount namespace", own_space),
        (" in a user namespace", own_space | libc::CLONE_NEWUSER),
    ] {
        syscalls::in_child(|| {
            unshare(spaces);
            for path in ["/dev/null", "/dev/zero", "/dev", "/usr", "/mnt/probe", "/"] {
                if is_mount_point(path) {
                    change_mount(report, path, &format!("{path}{of}"));
                }
            }
        });
    }
    let null = "/dev/null";
    let changed = rustix::fs::chmod(null, Mode::from_raw_mode(0o600));
    report.attempt("chmod", changed.map_err(Into::into));
    let now = rustix::fs::Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    let touched = rustix::fs::utimensat(CWD, null, &times, AtFlags::empty());
    report.attempt("touch", touched.map_err(Into::into));
    report.attempt("remove", fs::remove_file(null));
    report.attempt("rename", fs::rename(null, "/dev/other"));
    let device = rustix::fs::makedev(8, 0);
    for kind in [FileType::BlockDevice, FileType::CharacterDevice] {
        let made = mknodat(
            CWD,
            "/root/device",
            kind,
            Mode::from_raw_mode(0o600),
            device,
        );
        report.attempt("mknod", made.map_err(Into::into));
    }
    report.attempt(
        "write to a read-only volume",
        fs::write("/mnt/probe/written", ""),
    );
}

fn change_mount(report: &Report, path: &str, name: &str) {
    let read_only = rustix::fs::statvfs(path).unwrap().f_flag;
    if read_only.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let again = mount_remount(path, MountFlags::BIND, c"");
        report.attempt(format!("remount of {name}"), again.map_err(Into::into));
        let opened = rustix::fs::openat(CWD, path, OFlags::RDONLY, Mode::empty()).unwrap();
        let changed = syscalls::clear_read_only(opened.as_fd());
        report.attempt(format!("mount_setattr of {name}"), changed);
    }
    let target = "/root/moved";
    if Path::new(path).is_dir() {
        fs::remove_file(target).unwrap_or_default();
        fs::create_dir_all(target).unwrap();
    } else {
        fs::remove_dir(target).unwrap_or_default();
        fs::write(target, "").unwrap();
    }
    let moved = move_mount(CWD, path, CWD, target, MoveMountFlags::empty());
    report.attempt(format!("move of {name}"), moved.map_err(Into::into));
    let unmounted = unmount(path, UnmountFlags::DETACH);
    report.attempt(format!("unmount of {name}"), unmounted.map_err(Into::into));
}

fn is_mount_point(path: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(path))
}
