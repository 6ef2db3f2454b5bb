//! The filter of system calls. Each probe runs outside too, where the kernel must answer otherwise, so that none passes for another reason.

use std::fmt::Write as _;
use std::process::Command;

use crate::lab::{Guest, Lab, command, is_root};

/// `call(number, arguments…)` and, on x86, `call_32(number, three arguments)` by the 32-bit way: each is `ok` or the name of an error.
const PROBE: &str = r#"
import ctypes, errno, mmap, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*numbers):
    result = libc.syscall(*[ctypes.c_long(one) for one in numbers])
    return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
def call_32(*numbers):
    # push rbx; the arguments to eax, ebx, ecx, edx; int 0x80; pop rbx; ret
    code = bytes.fromhex('53 89f8 89f3 4189c8 89d1 4489c2 cd80 5b c3')
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    run = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int] * 4)(start)
    child = os.fork()
    if child == 0:
        os._exit(min(max(0, -run(*(list(numbers) + [0] * 4)[:4])), 255))
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return 'no 32-bit calls'
    code = os.WEXITSTATUS(status)
    return errno.errorcode[code] if code else 'ok'
"#;

/// What the calls say inside and outside, a line each.
fn probe(guest: &Guest, calls: &[String]) -> (Vec<String>, Vec<String>) {
    let mut script = PROBE.to_owned();
    for call in calls {
        writeln!(script, "print({call})").unwrap();
    }
    let inside = guest.run(&command(&["python3", "-c", &script]));
    assert_eq!(inside.stderr, "");
    let outside = Command::new("/usr/bin/python3")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(outside.status.success(), "{outside:?}");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    (
        lines(&inside.stdout),
        lines(&String::from_utf8(outside.stdout).unwrap()),
    )
}

/// Whether these tests run under a filter themselves, as in a container.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    !status.contains("Seccomp:\t0")
}

/// All must fail with this error inside. Outside none may, where the kernel has the call and would look at its arguments.
fn all_fail(guest: &Guest, calls: &[String], error: &str) {
    let (inside, outside) = probe(guest, calls);
    for ((call, inside), outside) in calls.iter().zip(&inside).zip(&outside) {
        assert_eq!(inside, error, "{call}");
        let may_be_same = outside == "ENOSYS" || is_filtered() || !is_root();
        assert!(inside != outside || may_be_same, "{call}: {outside}");
    }
    assert_eq!(inside.len(), calls.len());
}

#[test]
fn calls_over_the_whole_computer_are_refused() {
    let lab = Lab::new();
    let guest = lab.boot();
    let calls = [
        (libc::SYS_acct, "1"),
        (libc::SYS_bpf, "99999, 0, 0"),
        (libc::SYS_clock_settime, "0, 1"),
        (libc::SYS_delete_module, "1, 0"),
        (libc::SYS_fanotify_init, "0xffffff, 0"),
        (libc::SYS_finit_module, "-1, 0, 0"),
        (libc::SYS_init_module, "1, 1, 1"),
        (libc::SYS_kexec_file_load, "-1, -1, 0, 0, 0x100"),
        (libc::SYS_kexec_load, "0, 99, 0, 0"),
        (libc::SYS_migrate_pages, "-1, 99999999, 1, 1"),
        (libc::SYS_move_pages, "-1, 1, 1, 1, 1, 9"),
        (libc::SYS_open_by_handle_at, "-1, 1, 0"),
        (libc::SYS_perf_event_open, "0, 0, 0, 0, 0"),
        (libc::SYS_quotactl, "-1, 1, 0, 0"),
        (libc::SYS_reboot, "0, 0, 0, 0"),
        (libc::SYS_settimeofday, "1, 0"),
        (libc::SYS_swapoff, "1"),
        (libc::SYS_swapon, "1, 0"),
        (libc::SYS_syslog, "-1, 0, 0"),
    ]
    .map(|(number, arguments)| format!("call({number}, {arguments})"));
    all_fail(&guest, &calls, "EPERM");
}

#[test]
fn optional_and_unknown_calls_look_absent() {
    let lab = Lab::new();
    let guest = lab.boot();
    let calls = [
        (libc::SYS_add_key, "1, 1, 1, 1, 1"),
        (libc::SYS_request_key, "1, 1, 1, 1"),
        (libc::SYS_keyctl, "9999"),
        (libc::SYS_io_uring_setup, "0, 0"),
        (libc::SYS_io_uring_enter, "-1"),
        (libc::SYS_io_uring_register, "-1"),
        (libc::SYS_userfaultfd, "-1"),
        (4000, "0"),
        (0x4000_0000 + libc::SYS_getpid, "0"), // x32
    ]
    .map(|(number, arguments)| format!("call({number}, {arguments})"));
    all_fail(&guest, &calls, "ENOSYS");
}

/// The kernel looks at the flags of a socket before anything else, so with wrong ones it says `EINVAL` whatever it supports.
const WRONG_FLAG: i32 = 0x10_0000;

fn sockets_of_the_kernel() -> Vec<(i32, i32, i32)> {
    let families = [
        libc::AF_ALG,
        libc::AF_BLUETOOTH,
        libc::AF_CAN,
        libc::AF_KEY,
        libc::AF_PACKET,
        libc::AF_PPPOX,
        libc::AF_RDS,
        libc::AF_RXRPC,
        libc::AF_TIPC,
        libc::AF_VSOCK,
        libc::AF_XDP,
        45, // MCTP
        46,
        -1,
    ];
    let families = families.map(|family| (family, libc::SOCK_DGRAM, 0));
    let netlink = [
        libc::NETLINK_AUDIT,
        libc::NETLINK_CONNECTOR,
        libc::NETLINK_CRYPTO,
        libc::NETLINK_GENERIC,
        libc::NETLINK_NETFILTER,
        libc::NETLINK_XFRM,
    ];
    let netlink = netlink.map(|protocol| (libc::AF_NETLINK, libc::SOCK_RAW, protocol));
    let internet = [
        (libc::AF_INET, 10, 3), // the old name of packet sockets
        (libc::AF_INET, libc::SOCK_SEQPACKET, 0),
        (libc::AF_INET, libc::SOCK_DCCP, 0),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        (libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        (libc::AF_INET6, libc::SOCK_DGRAM, 115), // L2TP
    ];
    [&families[..], &netlink, &internet].concat()
}

#[test]
fn sockets_are_those_of_networks_and_files() {
    let lab = Lab::new();
    let guest = lab.boot();
    let calls: Vec<_> = sockets_of_the_kernel()
        .into_iter()
        .map(|(family, kind, protocol)| {
            let number = libc::SYS_socket;
            format!("call({number}, {family}, {kind} | {WRONG_FLAG}, {protocol})")
        })
        .collect();
    all_fail(&guest, &calls, "EAFNOSUPPORT");
    let pair = libc::SYS_socketpair;
    let pairs = [format!(
        "call({pair}, {}, {WRONG_FLAG}, 0, 0)",
        libc::AF_TIPC
    )];
    all_fail(&guest, &pairs, "ENOTSUP"); // EOPNOTSUPP under its other name

    let script = format!(
        "import socket as s\n\
         for kind in [s.SOCK_STREAM, s.SOCK_DGRAM, s.SOCK_SEQPACKET]: s.socketpair(s.AF_UNIX, kind)\n\
         for family in [s.AF_INET, s.AF_INET6]:\n\
         \x20for kind in [s.SOCK_STREAM, s.SOCK_DGRAM]: s.socket(family, kind).bind(('', 0))\n\
         \x20s.socket(family, s.SOCK_RAW, s.IPPROTO_ICMP)\n\
         s.socket(s.AF_NETLINK, s.SOCK_RAW, {}).bind((0, 0))\n\
         s.socket(s.AF_NETLINK, s.SOCK_RAW, {}).bind((0, 0))\n\
         s.getaddrinfo('localhost', 80); print(s.if_nameindex())",
        libc::NETLINK_ROUTE,
        libc::NETLINK_KOBJECT_UEVENT,
    );
    let outcome = guest.run(&command(&["python3", "-c", &script]));
    assert_eq!(outcome.stdout, "[(1, 'lo')]\n", "{outcome:?}");
}

#[test]
fn packet_filters_cannot_be_reached_through_socket_options() {
    let lab = Lab::new();
    let guest = lab.boot();
    let (get, set) = (libc::SYS_getsockopt, libc::SYS_setsockopt);
    let (ip, ip6) = (libc::SOL_IP, libc::SOL_IPV6);
    let refused = [
        format!("call({set}, -1, {ip}, 64, 0, 0)"), // iptables: replace
        format!("call({set}, -1, {ip}, 96, 0, 0)"), // arptables
        format!("call({set}, -1, {ip}, 128, 0, 0)"), // ebtables
        format!("call({set}, -1, {ip}, 200, 0, 0)"), // multicast routing
        format!("call({set}, -1, {ip}, 1157, 0, 0)"), // virtual servers
        format!("call({set}, -1, {ip6}, 64, 0, 0)"),
        format!("call({get}, -1, {ip}, 64, 0, 0)"), // iptables: information
        format!("call({get}, -1, {ip6}, 65, 0, 0)"),
    ];
    all_fail(&guest, &refused, "ENOPROTOOPT");
    let allowed = [
        format!("call({set}, -1, {ip}, {}, 0, 0)", libc::IP_TTL),
        format!("call({set}, -1, {ip6}, {}, 0, 0)", libc::IPV6_TCLASS),
        format!("call({set}, -1, {}, 64, 0, 0)", libc::SOL_SOCKET),
        format!("call({get}, -1, {ip}, 80, 0, 0)"), // where a redirected connection was going
    ];
    assert_eq!(probe(&guest, &allowed).0, ["EBADF"; 4]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_32_bit_way_of_calling_is_no_way_around() {
    let lab = Lab::new();
    let guest = lab.boot();
    let refused = |calls: &[&str], error: &str| {
        let mut calls: Vec<_> = calls
            .iter()
            .map(|call| format!("call_32({call})"))
            .collect();
        calls.push(String::from("call_32(20)")); // getpid
        let (mut inside, mut outside) = probe(&guest, &calls);
        let has_any = inside.pop().unwrap() == "ok";
        assert_eq!(has_any, outside.pop().unwrap() == "ok");
        for (call, inside) in calls.iter().zip(inside).filter(|_| has_any) {
            assert_eq!(inside, error, "{call}");
        }
    };
    refused(
        &["357, 99999", "336", "88", "87, 1", "51, 1", "342, -1"],
        "EPERM",
    ); // bpf, perf_event_open, reboot, swapon, acct …
    refused(&["288, 9999", "425", "374, -1", "102, 1", "4000"], "ENOSYS"); // keyctl, io_uring_setup, userfaultfd, socketcall
    let sockets: Vec<_> = sockets_of_the_kernel()
        .into_iter()
        .map(|(family, kind, protocol)| format!("359, {family}, {kind}, {protocol}"))
        .collect();
    let sockets: Vec<_> = sockets.iter().map(String::as_str).collect();
    refused(&sockets, "EAFNOSUPPORT");
    refused(&["366, -1, 0, 64"], "ENOPROTOOPT");
    refused(
        &["359, 1, 1", "359, 2, 1", "20", "192, 0, 4096, 0"][..3],
        "ok",
    );
}

#[test]
fn namespaces_mounts_and_tracing_work() {
    let lab = Lab::new();
    let guest = lab.boot();
    let nested = "unshare -Urmpfniu sh -c 'mount -t tmpfs none /mnt && umount /mnt && hostname inner && unshare -Ur id -u; echo $$ $(hostname)'";
    assert_eq!(guest.says(nested), "0\n1 inner\n");
    assert_eq!(
        guest.says("setarch -R uname; setarch linux32 uname -m | grep -c 86; true"),
        "Linux\n1\n"
    );
    let calls = [
        format!("call({}, 1, 0)", libc::SYS_fsopen),
        format!("call({}, 0, 0)", libc::SYS_clone3),
        format!("call({}, 0x400000)", libc::SYS_personality), // READ_IMPLIES_EXEC
        format!("call({}, -1)", libc::SYS_personality),
        format!("call({}, 1, 0, 99)", libc::SYS_landlock_create_ruleset),
        format!("call({}, 9, 9, 9)", libc::SYS_seccomp),
    ];
    let (inside, _) = probe(&guest, &calls);
    assert_eq!(inside[..4], ["EFAULT", "EINVAL", "EPERM", "ok"]);
    assert!(inside[4..].iter().all(|one| one != "EPERM"), "{inside:?}");
    let traced = "import ctypes, os, signal, multiprocessing\n\
                  libc = ctypes.CDLL(None)\n\
                  child = os.fork()\n\
                  if child == 0:\n\
                  \x20libc.ptrace(0, 0, 0, 0); os.kill(os.getpid(), signal.SIGSTOP); os._exit(7)\n\
                  stopped = os.WIFSTOPPED(os.waitpid(child, 0)[1])\n\
                  libc.ptrace(7, child, 0, 0)\n\
                  print(stopped, os.WEXITSTATUS(os.waitpid(child, 0)[1]))\n\
                  with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))";
    let outcome = guest.run(&command(&["python3", "-c", traced]));
    assert_eq!(outcome.stdout, "True 7\n[1, 2]\n", "{outcome:?}");
}

#[test]
fn programs_may_gain_rights_from_files_but_not_lose_the_filter() {
    let lab = Lab::new();
    let guest = lab.boot();
    let lines = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
    assert_eq!(guest.says(lines), "NoNewPrivs:\t0\nSeccomp:\t2\n");
    if is_root() {
        let script = "cp /usr/bin/id /tmp/id; chmod 4755 /tmp/id; su nobody -s /bin/sh -c '/tmp/id -u; id -u'";
        assert_eq!(guest.says(script), "0\n65534\n");
    }
}

#[test]
fn giving_a_file_away_seems_to_succeed_where_there_is_one_user() {
    let lab = Lab::new();
    let guest = lab.boot();
    let script = "cd /tmp; touch f; ln -s f l; chown 33:44 f && chown -h 33 l && chown :44 f && chown 0:0 f && chown root f; stat -c %u:%g f l";
    let owners = if is_root() {
        "0:0\n33:0\n"
    } else {
        "0:0\n0:0\n"
    };
    // As root the group that was given first has gone back too.
    assert_eq!(guest.says(script), owners);
    if !is_root() {
        // The calls that leave a user or group as it is do reach the kernel.
        let calls = [
            format!("call({}, -1, 33, 33)", libc::SYS_fchown),
            format!("call({}, -1, 0xffffffff, 33)", libc::SYS_fchown),
            format!("call({}, -1, 0, 0xffffffff)", libc::SYS_fchown),
            format!("call({}, -1, 0xffff, 0)", libc::SYS_fchown),
        ];
        assert_eq!(probe(&guest, &calls).0, ["ok", "ok", "EBADF", "ok"]);
    }
}
