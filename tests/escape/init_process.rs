//! Init itself, which runs as a user of the machine: root inside may do to its own processes what it
//! likes, but not to this one, nor to a child of it that has not become a program yet.

use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::counters::{self, Counters};
use crate::lab::{Lab, command};
use crate::probe::{self, Report, attack_inside};
use crate::syscalls::{self, address_of, call};
use crate::verbs::{assert_dies, assert_everything_works};

#[test]
fn nobody_looks_into_init() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let own = attack_inside(&guest.machine, "init_process", &["look", "child"]);
    let init = attack_inside(&guest.machine, "init_process", &["look", "1"]);
    assert_eq!(init.succeeded(), Vec::<&str>::new(), "{init:?}");
    // On a child of its own the probe may do all of it.
    for (name, _) in init.by_name() {
        let needs_root_of_host = name.starts_with("map_files");
        assert!(
            needs_root_of_host || own.succeeded().contains(&name),
            "{name}: {own:?}"
        );
    }
    assert_everything_works(&guest);
}

#[test]
fn nobody_looks_into_a_child_of_init_before_it_is_a_program() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    // A search through so many folders takes init's child long enough to be caught in it.
    let mut slow = command(&["no-such-program"]);
    slow.env = vec![("PATH".into(), ":".repeat(50_000).into())];
    let machine = guest.machine.clone();
    let findings = std::thread::scope(|scope| {
        let hunter = scope.spawn(|| attack_inside(&machine, "init_process", &["hunt"]));
        while !hunter.is_finished() {
            guest.machine.exec(&slow).unwrap().wait().unwrap();
        }
        hunter.join().unwrap()
    });
    assert_eq!(findings.value("caught"), "yes", "{findings:?}");
    assert_eq!(findings.succeeded(), Vec::<&str>::new(), "{findings:?}");
}

#[test]
fn no_signal_reaches_init() {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let findings = attack_inside(&guest.machine, "init_process", &["signal"]);
    assert!(!findings.succeeded().is_empty(), "{findings:?}");
    assert_everything_works(&guest);
}

/// The kernel asks no more than the same user for these. An init without descriptors, memory or
/// processor time answers nobody, so its machine could not be stopped, and whoever asks would wait.
#[test]
fn init_keeps_its_limits_and_its_turn() {
    let lab = Lab::new();
    for what in ["limits", "turn"] {
        let guest = lab.boot_as(counters::spec(&lab));
        let counters = Counters::start(&guest.machine, &guest.spec, &["plain"]);
        let own = attack_inside(&guest.machine, "init_process", &[what, "child"]);
        assert!(!own.succeeded().is_empty(), "{own:?}");
        attack_inside(&guest.machine, "init_process", &[what, "1"]);
        counters.assert_stop_and_go_on(&guest.machine, what);
        assert_everything_works(&guest);
        assert_dies(&guest);
    }
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let victim = || match arguments[1].as_str() {
        "child" => syscalls::start_child(|| {
            loop {
                std::thread::park();
            }
        }),
        pid => pid.parse().unwrap(),
    };
    match arguments[0].as_str() {
        "look" => look_into(report, victim()),
        "hunt" => hunt(report),
        "signal" => signal(report),
        "limits" => take_limits(report, victim()),
        "turn" => take_turn(report, victim()),
        other => panic!("{other}"),
    }
}

fn look_into(report: &Report, victim: i32) {
    let of = |name: &str| format!("/proc/{victim}/{name}");
    for name in [
        "mem", "environ", "auxv", "maps", "smaps", "pagemap", "syscall", "io",
    ] {
        report.attempt(format!("read {name}"), read_some(&of(name)));
    }
    report.attempt("write mem", File::options().write(true).open(of("mem")));
    for name in ["exe", "root", "cwd", "ns/mnt", "ns/user"] {
        report.attempt(format!("link {name}"), fs::read_link(of(name)));
        report.attempt(format!("stat {name}"), fs::metadata(of(name)));
    }
    // That there are numbers and addresses tells nothing; what they lead to is tried one by one.
    let listed = fs::read_dir(of("fdinfo")).map(Iterator::count);
    let listed = listed.and_then(|count| match count {
        0 => Err(std::io::ErrorKind::NotFound.into()),
        count => Ok(count),
    });
    report.attempt("list fdinfo", listed);
    report.attempt("open fd/0", File::open(of("fd/0")));
    let process = Pid::from_raw(victim).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    for number in [0, 2] {
        let got = pidfd_getfd(&process, number, PidfdGetfdFlags::empty());
        report.attempt(format!("pidfd_getfd {number}"), got.map_err(Into::into));
    }
    let namespace = usize::try_from(libc::CLONE_NEWNET).unwrap();
    let number = syscalls::number_of(std::os::fd::AsFd::as_fd(&process));
    report.attempt("setns", call(libc::SYS_setns, &[number, namespace]));
    for (name, written) in [("process_vm_readv", false), ("process_vm_writev", true)] {
        report.attempt(name, syscalls::copy_memory(victim, written));
    }
    report.attempt("kcmp", syscalls::compare_descriptors(victim));
    report.attempt("ptrace", syscalls::seize(victim));
}

/// Reads the start of a file, which must not be empty.
fn read_some(path: &str) -> std::io::Result<()> {
    match File::open(path)?.read(&mut [0; 8]) {
        Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(()), // nothing is at address 0
        result => result.map(drop),
    }
}

/// Stops a child of init that is not a program yet, and looks into that.
fn hunt(report: &Report) {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        for entry in fs::read_dir("/proc").unwrap() {
            let name = entry.unwrap().file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let is_of_init = |pid: i32| {
                let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                name == fs::read_to_string("/proc/1/comm").unwrap()
            };
            if pid == 1 || !is_of_init(pid) {
                continue;
            }
            syscalls::kill(pid, libc::SIGSTOP).unwrap_or_default();
            // It may have become a program, or have ended, before it stopped.
            if is_of_init(pid) && fs::metadata(format!("/proc/{pid}/exe")).is_err() {
                report.say("caught", "yes");
                look_into(report, pid);
                syscalls::kill(pid, libc::SIGCONT).unwrap();
                return;
            }
            syscalls::kill(pid, libc::SIGCONT).unwrap_or_default();
        }
    }
    report.say("caught", "no");
}

fn signal(report: &Report) {
    let process = pidfd_open(Pid::from_raw(1).unwrap(), PidfdFlags::empty()).unwrap();
    let number = syscalls::number_of(std::os::fd::AsFd::as_fd(&process));
    for signal in 1..=64 {
        report.attempt(format!("kill {signal}"), syscalls::kill(1, signal));
        let signal = usize::try_from(signal).unwrap();
        report.attempt(
            format!("tgkill {signal}"),
            call(libc::SYS_tgkill, &[1, 1, signal]),
        );
        report.attempt(
            format!("pidfd_send_signal {signal}"),
            call(libc::SYS_pidfd_send_signal, &[number, signal]),
        );
    }
}

/// Takes descriptors, memory, processes and time away from a process.
fn take_limits(report: &Report, victim: i32) {
    let nothing = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let victim = usize::try_from(victim).unwrap();
    for resource in 0..16 {
        let arguments = [victim, resource, address_of(&nothing), 0];
        report.attempt(
            format!("prlimit {resource}"),
            call(libc::SYS_prlimit64, &arguments),
        );
    }
}

/// Makes a process the last to be run, and busy ones of its own the first.
fn take_turn(report: &Report, victim: i32) {
    let process = usize::try_from(victim).unwrap();
    let idle = libc::sched_param { sched_priority: 0 };
    let policy = usize::try_from(libc::SCHED_IDLE).unwrap();
    report.attempt(
        "sched_setscheduler",
        call(
            libc::SYS_sched_setscheduler,
            &[process, policy, address_of(&idle)],
        ),
    );
    report.attempt(
        "setpriority",
        call(libc::SYS_setpriority, &[0, process, 19]),
    );
    report.attempt(
        "ioprio_set",
        call(libc::SYS_ioprio_set, &[1, process, 3 << 13]),
    );
    let one: u64 = 1;
    report.attempt(
        "sched_setaffinity",
        call(libc::SYS_sched_setaffinity, &[process, 8, address_of(&one)]),
    );
    let score = fs::write(format!("/proc/{victim}/oom_score_adj"), "1000");
    report.attempt("oom_score_adj", score);
    let slack = fs::write(format!("/proc/{victim}/timerslack_ns"), "1000000000");
    report.attempt("timerslack_ns", slack);
    for _ in 0..if victim == 1 { 8 } else { 0 } {
        syscalls::start_daemon(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
}
