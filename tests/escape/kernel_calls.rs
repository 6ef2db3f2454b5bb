//! Calls and sockets that no program of a machine needs, but that most ways to take over a kernel begin
//! with: also by the numbers that 32-bit programs use, and by those of x32.
//!
//! Outside the probe makes them in namespaces of its own, where it has the same rights as inside.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use fastvm_sandbox::Exit;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::lab::Lab;
use crate::probe::{self, Findings, Report, attack_inside, attack_outside};
use crate::syscalls::{self, address_of, address_of_mut, call, number_of};

/// Families of sockets that programs need: local ones, the Internet, and what tells of networks.
const NEEDED_FAMILIES: [i32; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];
/// What the kernel has as families, and a few that it may have some day.
const FAMILIES: std::ops::Range<i32> = 1..64;
/// Netlink protocols that change more than the networks of a machine.
const PROTOCOLS: [(&str, i32); 8] = [
    ("xfrm", 6),
    ("iscsi", 8),
    ("audit", 9),
    ("connector", 11),
    ("netfilter", 12),
    ("scsi", 18),
    ("rdma", 20),
    ("crypto", 21),
];

/// Returns what the kernel would have granted.
fn assert_refused(way: &str) -> usize {
    let lab = Lab::new();
    let guest = probe::boot(&lab);
    let inside = attack_inside(&guest.machine, "kernel_calls", &[way]);
    let outside = attack_outside("kernel_calls", &[way, "in namespaces"]);
    assert_eq!(names(&inside), names(&outside));
    assert_eq!(inside.succeeded(), Vec::<&str>::new());
    outside.succeeded().len()
}

fn names(findings: &Findings) -> Vec<&str> {
    findings.by_name().into_keys().collect()
}

#[test]
fn calls_that_reach_deep_into_the_kernel_are_refused() {
    assert_ne!(assert_refused("calls"), 0);
}

#[test]
fn only_needed_families_of_sockets_are_there() {
    assert_ne!(assert_refused("families"), 0);
}

#[test]
fn only_needed_netlink_protocols_are_there() {
    assert_ne!(assert_refused("protocols"), 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_32_bit_programs_are_refused_as_well() {
    let granted = assert_refused("32-bit");
    // A kernel without these calls ends who makes one.
    let has_calls = attack_outside("kernel_calls", &["32-bit entry"]);
    assert!(has_calls.succeeded().is_empty() || granted > 0);
}

/// Most kernels do not know them, so there may be nothing that would have been granted.
#[cfg(target_arch = "x86_64")]
#[test]
fn calls_of_x32_programs_are_refused_as_well() {
    assert_refused("x32");
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    if arguments.get(1).is_some() {
        enter_namespaces();
    }
    match arguments[0].as_str() {
        "calls" => try_calls(report),
        "families" => {
            for family in FAMILIES.filter(|family| !NEEDED_FAMILIES.contains(family)) {
                attempt(report, &format!("family {family}"), || any_socket(family));
            }
        }
        "protocols" => {
            for (name, number) in PROTOCOLS {
                attempt(report, name, || {
                    socket(libc::AF_NETLINK, libc::SOCK_RAW, number)
                });
            }
        }
        #[cfg(target_arch = "x86_64")]
        "32-bit" => try_calls_of_32_bit(report),
        #[cfg(target_arch = "x86_64")]
        "32-bit entry" => attempt(report, "getpid", || syscalls::call_32(20, &[])),
        #[cfg(target_arch = "x86_64")]
        "x32" => try_calls_of_x32(report),
        other => panic!("{other}"),
    }
}

/// Becomes root of new namespaces, as init is.
fn enter_namespaces() {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let spaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    call(libc::SYS_unshare, &[usize::try_from(spaces).unwrap()]).unwrap();
    fs::write("/proc/self/setgroups", "deny").unwrap();
    fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw())).unwrap();
    fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw())).unwrap();
}

/// Makes an attempt in a child, as it may be killed for it.
fn attempt(report: &Report, name: &str, act: impl FnOnce() -> io::Result<usize>) {
    let end = syscalls::in_child(|| {
        report.attempt(name, act());
    });
    if end != Exit::Code(0) {
        report.say(name, format!("{end:?}"));
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<usize> {
    let numbers = [family, kind, protocol].map(|number| usize::try_from(number).unwrap());
    call(libc::SYS_socket, &numbers)
}

/// A socket of any kind of a family.
fn any_socket(family: i32) -> io::Result<usize> {
    let kinds = 1..=6;
    let protocols = [0, 1, 2, 3];
    let mut result = Err(io::ErrorKind::NotFound.into());
    for (kind, protocol) in kinds.flat_map(|kind| protocols.map(|protocol| (kind, protocol))) {
        result = socket(family, kind, protocol);
        if result.is_ok() {
            return result;
        }
    }
    result
}

/// `perf_event_attr` as far as it is needed: a clock of this process in user mode.
fn performance_event() -> [u64; 16] {
    let (software, size) = (1_u64, 128_u64);
    let mut event = [0; 16];
    event[0] = software | size << 32;
    event[5] = 0b110_0000; // exclude_kernel, exclude_hv
    event
}

fn try_calls(report: &Report) {
    let mut parameters = [0_u64; 32];
    let parameters = address_of_mut(&mut parameters);
    let nothing = address_of(c"");
    let minus_one = usize::MAX;
    let mut calls: Vec<(&str, libc::c_long, Vec<usize>)> = vec![
        (
            "io_uring_setup",
            libc::SYS_io_uring_setup,
            vec![1, parameters],
        ),
        ("userfaultfd", libc::SYS_userfaultfd, vec![0]),
        ("userfaultfd for user mode", libc::SYS_userfaultfd, vec![1]),
        (
            "bpf map",
            libc::SYS_bpf,
            vec![0, address_of(&[2_u32, 4, 8, 1, 0, 0]), 24],
        ),
        ("bpf program", libc::SYS_bpf, vec![5, parameters, 48]),
        (
            "perf_event_open",
            libc::SYS_perf_event_open,
            vec![address_of(&performance_event()), 0, minus_one, minus_one, 0],
        ),
        (
            "keyctl",
            libc::SYS_keyctl,
            vec![0, 3_usize.wrapping_neg(), 1],
        ),
        (
            "add_key",
            libc::SYS_add_key,
            vec![
                address_of(c"user"),
                address_of(c"x"),
                nothing,
                1,
                2_usize.wrapping_neg(),
            ],
        ),
        (
            "request_key",
            libc::SYS_request_key,
            vec![address_of(c"user"), address_of(c"x"), 0, 0],
        ),
        ("kexec_load", libc::SYS_kexec_load, vec![0, 0, 0, 0]),
        (
            "init_module",
            libc::SYS_init_module,
            vec![nothing, 0, nothing],
        ),
        ("finit_module", libc::SYS_finit_module, vec![0, nothing, 0]),
        ("delete_module", libc::SYS_delete_module, vec![nothing, 0]),
        ("swapon", libc::SYS_swapon, vec![nothing, 0]),
        ("swapoff", libc::SYS_swapoff, vec![nothing]),
        ("acct", libc::SYS_acct, vec![0]),
        (
            "settimeofday",
            libc::SYS_settimeofday,
            vec![address_of(&[0_u64; 2]), 0],
        ),
        (
            "clock_settime",
            libc::SYS_clock_settime,
            vec![0, address_of(&[0_u64; 2])],
        ),
        ("syslog", libc::SYS_syslog, vec![3, parameters, 8]),
        ("quotactl", libc::SYS_quotactl, vec![0x0080_0001, 0, 0, 0]),
        ("vhangup", libc::SYS_vhangup, vec![]),
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        ("iopl", libc::SYS_iopl, vec![3]),
        ("ioperm", libc::SYS_ioperm, vec![0x80, 1, 1]),
        ("uselib", libc::SYS_uselib, vec![nothing]),
    ]);
    for (name, number, arguments) in calls {
        attempt(report, name, || call(number, &arguments));
    }
    attempt(report, "open_by_handle_at of a folder", open_by_handle);
}

/// Opens a folder by its number, which root of a namespace may do since Linux 6.11 on what it has mounted.
fn open_by_handle() -> io::Result<usize> {
    let mut handle = [0_u32; 34];
    handle[0] = 128;
    let mut mount = 0_i32;
    let folder = openat(CWD, "/dev/shm", OFlags::RDONLY, Mode::empty())?;
    let at_empty = usize::try_from(libc::AT_EMPTY_PATH).unwrap();
    let number = number_of(folder.as_fd());
    let arguments = [
        number,
        address_of(c""),
        address_of_mut(&mut handle),
        address_of_mut(&mut mount),
        at_empty,
    ];
    call(libc::SYS_name_to_handle_at, &arguments)?;
    call(
        libc::SYS_open_by_handle_at,
        &[number, address_of(&handle), 0],
    )
}

/// The numbers of the same calls in 32-bit programs.
#[cfg(target_arch = "x86_64")]
fn try_calls_of_32_bit(report: &Report) {
    let (vsock, packet, netlink) = (40, 17, 16);
    let memory = syscalls::LowMemory::new();
    let parameters = memory.fill(&[0; 64]);
    let calls: [(&str, u32, Vec<u32>); 10] = [
        ("socket of vsock", 359, vec![vsock, 1, 0]),
        ("socket of packet", 359, vec![packet, 3, 0]),
        ("socket of netfilter", 359, vec![netlink, 3, 12]),
        ("io_uring_setup", 425, vec![1, parameters]),
        ("userfaultfd", 374, vec![1]),
        ("bpf", 357, vec![0, parameters, 24]),
        ("keyctl", 288, vec![0, 3_u32.wrapping_neg(), 1]),
        (
            "add_key",
            286,
            vec![parameters, parameters, 0, 0, 2_u32.wrapping_neg()],
        ),
        ("open_by_handle_at", 342, vec![0, parameters, 0]),
        ("vm86", 113, vec![parameters]),
    ];
    for (name, number, arguments) in calls {
        attempt(report, name, || syscalls::call_32(number, &arguments));
    }
    // The old call for all of sockets has its arguments in memory, where a filter cannot see them.
    for (name, arguments) in [
        ("socketcall of vsock", [vsock, 1, 0]),
        ("socketcall of packet", [packet, 3, 0]),
        ("socketcall of netfilter", [netlink, 3, 12]),
    ] {
        let arguments = memory.fill(&arguments);
        attempt(report, name, || syscalls::call_32(102, &[1, arguments]));
    }
}

/// The numbers that programs with short pointers use.
#[cfg(target_arch = "x86_64")]
fn try_calls_of_x32(report: &Report) {
    const X32: libc::c_long = 0x4000_0000;
    let mut parameters = [0_u64; 32];
    let parameters = address_of_mut(&mut parameters);
    for (name, number, arguments) in [
        ("socket of vsock", libc::SYS_socket, vec![40, 1, 0]),
        (
            "io_uring_setup",
            libc::SYS_io_uring_setup,
            vec![1, parameters],
        ),
        (
            "keyctl",
            libc::SYS_keyctl,
            vec![0, 3_usize.wrapping_neg(), 1],
        ),
        ("userfaultfd", libc::SYS_userfaultfd, vec![1]),
    ] {
        attempt(report, name, || call(X32 | number, &arguments));
    }
}
