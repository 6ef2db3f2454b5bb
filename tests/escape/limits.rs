//! The memory, processors and processes of a machine, taken in every way that the kernel may count
//! elsewhere or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fastvm_sandbox::LimitsSupport;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit};
use rustix::thread::CpuSet;

use crate::lab::{Guest, Lab, is_root};
use crate::probe::{self, Report, attack_inside, attack_outside, attack_to_its_end};
use crate::syscalls::{self, address_of, call};
use crate::verbs::assert_everything_works;

const MEMORY_MIB: u64 = 96;
/// What the probe asks for.
const WANTED_MIB: u64 = 3 * MEMORY_MIB;
/// What the kernel may count late.
const SLACK_MIB: u64 = 8;

fn small(lab: &Lab) -> Guest {
    let mut spec = probe::spec(lab);
    spec.memory_mib = MEMORY_MIB;
    lab.boot_as(spec)
}

/// Where memory is limited for each process alone, other kinds are not said to be limited.
#[test]
fn no_kind_of_memory_goes_beyond_the_limit() {
    let lab = Lab::new();
    let counts_together = lab.host.limits() != LimitsSupport::ProcessLimits;
    let kinds = [
        "heap", "heaps", "shared", "memfd", "segments", "tmpfs", "/dev/shm", "/run",
    ];
    for kind in kinds {
        let guest = small(&lab);
        let wanted = WANTED_MIB.to_string();
        let (findings, _) = attack_to_its_end(&guest.machine, "limits", &["memory", kind, &wanted]);
        let taken = findings.values("taken").count() as u64;
        assert!(taken > MEMORY_MIB / 8, "{kind}: {findings:?}");
        // Those of many heaps that are killed give back what they had.
        if (counts_together && kind != "heaps") || kind == "heap" {
            assert!(taken <= MEMORY_MIB + SLACK_MIB, "{kind}: {taken} MiB");
        }
    }
}

#[test]
fn file_systems_in_memory_are_no_larger_than_the_memory() {
    let lab = Lab::new();
    let guest = small(&lab);
    let findings = attack_inside(&guest.machine, "limits", &["sizes"]);
    let kib: u64 = findings
        .values("KiB")
        .map(|kib| kib.parse::<u64>().unwrap())
        .sum();
    assert!(kib > 0, "{findings:?}");
    assert!(kib <= MEMORY_MIB * 1024, "{kib} KiB: {findings:?}");
}

#[test]
fn no_process_takes_processors_back() {
    let lab = Lab::new();
    let guest = probe::boot(&lab); // with one processor
    let outside = attack_outside("limits", &["processors"]).number("processors");
    let all = std::thread::available_parallelism().unwrap().get() as u64;
    assert_eq!(outside, all);
    let findings = attack_inside(&guest.machine, "limits", &["processors"]);
    match lab.host.limits() {
        // There is nothing that could hold them, and `local status` says so.
        LimitsSupport::ProcessLimits => assert!(findings.number("processors") <= all),
        _ => assert_eq!(findings.number("processors"), 1, "{findings:?}"),
    }
}

#[test]
fn all_users_together_have_no_more_processes() {
    let lab = Lab::new();
    let mut spec = probe::spec(&lab);
    spec.memory_mib = 1024;
    let guest = lab.boot_as(spec);
    let findings = attack_inside(&guest.machine, "limits", &["processes"]);
    let all: u64 = findings
        .values("threads")
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    assert!(all > 1000, "{findings:?}");
    assert!(all <= 4096, "{findings:?}");
    assert_everything_works(&guest);
}

#[test]
fn no_limit_is_raised() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let raised = attack_inside(&guest.machine, "limits", &["raise"]);
    assert_eq!(raised.succeeded(), ["lower"], "{raised:?}");
    let groups = attack_inside(&guest.machine, "limits", &["groups"]);
    assert_eq!(groups.succeeded(), Vec::<&str>::new(), "{groups:?}");
    assert_everything_works(&guest);
}

/// A group of an ordinary user, such as one of a session, belongs to root inside as well.
#[test]
fn the_group_that_an_ordinary_user_runs_in_is_not_changed() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let top = fields
        .filter(|fields| fields[2] == "cgroup2")
        .map(|fields| fields[1])
        .next();
    let (true, Some(top)) = (is_root(), top) else {
        return;
    };
    let group = UserGroup::new(Path::new(top));
    let data = tempfile::tempdir().unwrap();
    chown(data.path(), Some(USER), Some(USER)).unwrap();
    let mut test = Command::new("sh")
        .args(["-c", "echo $$ > \"$0/cgroup.procs\"; exec setpriv \"$@\""])
        .arg(&group.folder)
        .args([format!("--reuid={USER}"), format!("--regid={USER}")])
        .arg("--clear-groups")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limits::no_limit_is_raised"])
        .env(crate::REPEATED, "1")
        .env(crate::lab::DATA, data.path())
        .env_remove("TMPDIR")
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + GROUP_DEADLINE;
    let status = loop {
        match test.try_wait().unwrap() {
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            status => break status,
        }
    };
    drop(group);
    test.wait().unwrap();
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

/// The ordinary user that root repeats tests as.
const USER: u32 = 1000;
const GROUP_DEADLINE: Duration = Duration::from_secs(20);

/// A control group of an ordinary user, which ends with all that runs in it.
struct UserGroup {
    folder: PathBuf,
}

impl UserGroup {
    fn new(top: &Path) -> Self {
        let folder = top.join(format!("fastvm-escape-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(USER), Some(USER)).unwrap();
        for file in fs::read_dir(&folder).unwrap() {
            chown(file.unwrap().path(), Some(USER), Some(USER)).unwrap();
        }
        Self { folder }
    }
}

impl Drop for UserGroup {
    fn drop(&mut self) {
        for (file, value) in [("cgroup.freeze", "0"), ("cgroup.kill", "1")] {
            fs::write(self.folder.join(file), value).unwrap();
        }
        while fs::remove_dir(&self.folder).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    match arguments[0].as_str() {
        "memory" => take_memory(report, &arguments[1], arguments[2].parse().unwrap()),
        "sizes" => tell_sizes(report),
        "processors" => take_processors(report),
        "processes" => take_processes(report),
        "raise" => raise_limits(report),
        "groups" => change_groups(report),
        other => panic!("{other}"),
    }
}

const MIB: usize = 1024 * 1024;

/// Takes memory, one MiB after another, and says so for each.
fn take_memory(report: &Report, kind: &str, wanted: u64) {
    let block = vec![1_u8; MIB];
    let mut file = match kind {
        "memfd" => {
            let file = rustix::fs::memfd_create("escape", rustix::fs::MemfdFlags::empty());
            Some(File::from(file.unwrap()))
        }
        "tmpfs" => {
            fs::create_dir("/root/memory").unwrap();
            let size = c"size=4g";
            mount("memory", "/root/memory", "tmpfs", MountFlags::empty(), size).unwrap();
            Some(File::create("/root/memory/file").unwrap())
        }
        folder if folder.starts_with('/') => {
            Some(File::create(Path::new(folder).join("file")).unwrap())
        }
        _ => None,
    };
    for _ in 0..wanted {
        let taken = match kind {
            "heap" => syscalls::map_memory(MIB, libc::MAP_PRIVATE),
            "shared" => syscalls::map_memory(MIB, libc::MAP_SHARED),
            "segments" => syscalls::attach_segment(MIB),
            // Each in a process of its own.
            "heaps" => {
                let (ready, filled) = io::pipe().unwrap();
                syscalls::start_child(|| {
                    syscalls::map_memory(MIB, libc::MAP_PRIVATE).unwrap();
                    (&filled).write_all(b"x").unwrap();
                    loop {
                        std::thread::park();
                    }
                });
                drop(filled);
                io::Read::read_exact(&mut &ready, &mut [0])
            }
            _ => file.as_mut().unwrap().write_all(&block),
        };
        match taken {
            Ok(()) => report.say("taken", 1),
            Err(error) => {
                report.say("end", error);
                return;
            }
        }
    }
}

/// The size of each file system in memory.
fn tell_sizes(report: &Report) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let mut is_new = || seen.insert(rustix::fs::stat(fields[1]).unwrap().st_dev);
        if fields[2] == "tmpfs" && is_new() {
            let found = rustix::fs::statvfs(fields[1]).unwrap();
            report.say("at", fields[1]);
            report.say("KiB", found.f_blocks * found.f_frsize / 1024);
        }
    }
}

fn take_processors(report: &Report) {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
    let set = rustix::thread::sched_setaffinity(None, &all);
    report.attempt("sched_setaffinity", set.map_err(Into::into));
    let have = rustix::thread::sched_getaffinity(None).unwrap();
    report.say("processors", have.count());
}

/// Starts threads as each of several users, as many as there can be.
fn take_processes(report: &Report) {
    let (start, started) = io::pipe().unwrap();
    let (told, tell) = io::pipe().unwrap();
    let children = [0, 1, 2].map(|user| {
        syscalls::start_child(|| {
            io::Read::read_exact(&mut &start, &mut [0]).unwrap();
            // An ordinary user's machine has no other.
            if call(libc::SYS_setresuid, &[user; 3]).is_ok() {
                report.say("threads", start_threads());
            }
            (&tell).write_all(b"x").unwrap();
            // They stay until all have been counted.
            loop {
                std::thread::park();
            }
        })
    });
    (&started).write_all(b"xxx").unwrap();
    io::Read::read_exact(&mut &told, &mut [0; 3]).unwrap();
    for child in children {
        syscalls::kill(child, libc::SIGKILL).unwrap();
    }
}

fn start_threads() -> usize {
    let park = || {
        loop {
            std::thread::park();
        }
    };
    let start = |_: &usize| {
        let thread = std::thread::Builder::new().stack_size(16 * 1024);
        thread.spawn(park).is_ok()
    };
    (0..6000).take_while(start).count()
}

fn raise_limits(report: &Report) {
    for resource in [
        Resource::Nproc,
        Resource::Nofile,
        Resource::Rtprio,
        Resource::Nice,
    ] {
        let old = rustix::process::getrlimit(resource);
        let more = old.maximum.map_or(u64::MAX - 1, |maximum| maximum + 1);
        let new = Rlimit {
            current: Some(more),
            maximum: Some(more),
        };
        let set = rustix::process::setrlimit(resource, new);
        if old.maximum.is_some() {
            report.attempt(format!("raise {resource:?}"), set.map_err(Into::into));
        }
    }
    let first = libc::sched_param { sched_priority: 50 };
    for (name, policy) in [("FIFO", libc::SCHED_FIFO), ("RR", libc::SCHED_RR)] {
        let policy = usize::try_from(policy).unwrap();
        let set = call(
            libc::SYS_sched_setscheduler,
            &[0, policy, address_of(&first)],
        );
        report.attempt(format!("schedule as {name}"), set);
    }
    let higher = -5_isize;
    report.attempt(
        "priority",
        call(libc::SYS_setpriority, &[0, 0, higher as usize]),
    );
    report.attempt(
        "input and output",
        call(libc::SYS_ioprio_set, &[1, 0, 1 << 13]),
    );
    report.attempt(
        "oom_score_adj",
        fs::write("/proc/self/oom_score_adj", "-1000"),
    );
    report.attempt("lower", call(libc::SYS_setpriority, &[0, 0, 5]));
}

/// Control groups can be mounted inside; nothing there may be changed.
fn change_groups(report: &Report) {
    let folder = Path::new("/root/groups");
    fs::create_dir(folder).unwrap();
    for (kind, options) in [
        ("cgroup2", c""),
        ("cgroup", c"memory"),
        ("cgroup", c"pids"),
        ("cgroup", c"freezer"),
        ("cgroup", c"cpuset"),
        ("cgroup", c"devices"),
        ("cgroup", c"none,name=escape"),
    ] {
        if let Err(error) = mount(kind, folder, kind, MountFlags::empty(), options) {
            report.say(format!("mount of {kind} {options:?}"), error);
            continue;
        }
        report.say(format!("mount of {kind} {options:?}"), "done");
        for (file, value) in [
            ("memory.limit_in_bytes", "-1"),
            ("memory.max", "max"),
            ("memory.oom_control", "1"),
            ("memory.force_empty", "0"),
            ("pids.max", "max"),
            ("freezer.state", "FROZEN"),
            ("cgroup.freeze", "1"),
            ("cgroup.kill", "1"),
            ("cgroup.procs", "0"),
            ("tasks", "0"),
            ("cgroup.subtree_control", "+memory"),
            ("cpuset.cpus", "0-1"),
            ("devices.allow", "a"),
            ("release_agent", "/bin/sh"),
            ("notify_on_release", "1"),
            ("new/cgroup.procs", "0"),
        ] {
            let path = folder.join(file);
            if path.exists() {
                report.attempt(file, fs::write(path, value));
            }
        }
        report.attempt("new group", fs::create_dir(folder.join("new")));
        rustix::mount::unmount(folder, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}
