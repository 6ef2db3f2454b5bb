//! System calls that fail for some of their arguments.

use std::collections::BTreeMap;
use std::io;

use seccompiler::SeccompCmpOp::{self, Eq, Ge, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::syscall_table::Abi;

/// The steps that decide about a call, by its number.
pub(super) type Rules = BTreeMap<i32, BpfProgram>;

/// One argument, counted from 0, and what it is compared with. All arguments here have 32 bits.
type Condition = (u8, SeccompCmpOp, i32);

/// Protocols of `AF_NETLINK` that programs ask about interfaces, sockets and devices. Others lead to the firewall, to IPsec and the like.
const NETLINK_PROTOCOLS: [i32; 4] = [
    libc::NETLINK_ROUTE,
    libc::NETLINK_USERSOCK,
    libc::NETLINK_SOCK_DIAG,
    libc::NETLINK_KOBJECT_UEVENT,
];
/// Protocols over IP that the kernel would load a module for. DCCP has a type of its own.
const IP_PROTOCOLS: [i32; 3] = [IPPROTO_L2TP, libc::IPPROTO_SCTP, IPPROTO_SMC];
const IPPROTO_L2TP: i32 = 115;
const IPPROTO_SMC: i32 = 256;
/// From here on options of a socket belong to the packet filters and to multicast routing.
const FIRST_FILTER_OPTION: i32 = 64;
/// The one of them that proxies ask for: where a redirected connection was going.
const SO_ORIGINAL_DST: i32 = 80;
/// The same for IPv6: 64, 65, 68 and 69, which are the options whose other bits are these.
const FILTER_OPTION_6: i32 = 64;
const FILTER_OPTIONS_6: u64 = !0b101;
const FIRST_ROUTING_OPTION_6: i32 = 200;
/// The flags of `personality` that `setarch` and debuggers set.
const PERSONALITIES: [i32; 3] = [PER_LINUX32, UNAME26, ADDR_NO_RANDOMIZE];
/// Of `linux/personality.h`: not every C library has them all.
const PER_LINUX32: i32 = 8;
const UNAME26: i32 = 0x2_0000;
const ADDR_NO_RANDOMIZE: i32 = 0x4_0000;
const ASK_FOR_PERSONALITY: i32 = -1;
/// The process whose limits and turn on the processor nobody inside may change, although it has the same user.
const INIT: i32 = 1;
/// A user or group that is no other: the only one there is, and "leave it as it is".
const SAME_OWNER: [i32; 2] = [0, -1];
const UNCHANGED_16: i32 = 0xffff;

/// The rules of one way of calling; without a first user, files cannot be given away.
pub(super) fn of(abi: &Abi, first_user: Option<u32>) -> io::Result<Rules> {
    let mut rules = Rules::new();
    let mut add = |call: i32, error: i32, when: Vec<Vec<Condition>>| {
        rules.insert(call, compile(call, error, when)?);
        Ok::<_, io::Error>(())
    };
    add(abi.socket, libc::EAFNOSUPPORT, sockets())?;
    let others = vec![vec![(0, Ne, libc::AF_UNIX)]];
    add(abi.socketpair, libc::EOPNOTSUPP, others)?;
    add(abi.setsockopt, libc::ENOPROTOOPT, options(None))?;
    add(
        abi.getsockopt,
        libc::ENOPROTOOPT,
        options(Some(SO_ORIGINAL_DST)),
    )?;
    add(abi.personality, libc::EPERM, vec![personalities()])?;
    for (call, process) in abi.of_process {
        add(call, libc::EPERM, vec![vec![(process, Eq, INIT)]])?;
    }
    // `PRIO_PROCESS`, `PRIO_PGRP` and `PRIO_USER`, then the same of `ioprio_set`.
    add(abi.setpriority, libc::EPERM, on_init(0, 1, 2))?;
    add(abi.ioprio_set, libc::EPERM, on_init(1, 2, 3))?;
    if first_user.is_none() {
        let other = |argument| SAME_OWNER.map(|same| (argument, Ne, same)).to_vec();
        let other_16 = |argument| [other(argument), vec![(argument, Ne, UNCHANGED_16)]].concat();
        for (call, user) in abi.chown {
            add(*call, 0, vec![other(*user), other(*user + 1)])?;
        }
        for (call, user) in abi.chown_16 {
            add(*call, 0, vec![other_16(*user), other_16(*user + 1)])?;
        }
    }
    Ok(rules)
}

/// What is asked for init, for its group, or for all processes of a user, by what says which of these is meant.
fn on_init(one: i32, group: i32, user: i32) -> Vec<Vec<Condition>> {
    const WHICH: u8 = 0;
    const WHO: u8 = 1;
    vec![
        vec![(WHICH, Eq, one), (WHO, Eq, INIT)],
        vec![(WHICH, Eq, group), (WHO, Eq, INIT)],
        vec![(WHICH, Eq, user)],
    ]
}

/// Sockets that are refused: all but UNIX, IP and some of netlink.
fn sockets() -> Vec<Vec<Condition>> {
    const FAMILY: u8 = 0;
    const TYPE: u8 = 1;
    const PROTOCOL: u8 = 2;
    let families = [
        libc::AF_UNIX,
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
    ];
    let mut netlink = vec![(FAMILY, Eq, libc::AF_NETLINK)];
    netlink.extend(NETLINK_PROTOCOLS.map(|protocol| (PROTOCOL, Ne, protocol)));
    let mut refused = vec![
        families.map(|family| (FAMILY, Ne, family)).to_vec(),
        netlink,
        // The types from 4 on: sequenced packets are for UNIX, and type 10 of `AF_INET` is another name of `AF_PACKET`.
        vec![(FAMILY, Ne, libc::AF_UNIX), (TYPE, MaskedEq(4), 4)],
        vec![(TYPE, MaskedEq(8), 8)],
    ];
    refused.extend(IP_PROTOCOLS.map(|protocol| vec![(PROTOCOL, Eq, protocol)]));
    refused
}

/// Options of sockets that reach the parsers of packet filters, which root of a network namespace may use; all but one.
fn options(but: Option<i32>) -> Vec<Vec<Condition>> {
    const LEVEL: u8 = 1;
    const NAME: u8 = 2;
    let mut refused = vec![vec![
        (LEVEL, Eq, libc::SOL_IP),
        (NAME, Ge, FIRST_FILTER_OPTION),
    ]];
    refused[0].extend(but.map(|name| (NAME, Ne, name)));
    for name in [
        (NAME, MaskedEq(FILTER_OPTIONS_6), FILTER_OPTION_6),
        (NAME, Ge, FIRST_ROUTING_OPTION_6),
    ] {
        refused.push(vec![(LEVEL, Eq, libc::SOL_IPV6), name]);
    }
    refused
}

/// All personalities but those that are made of the known flags.
fn personalities() -> Vec<Condition> {
    (0..1 << PERSONALITIES.len())
        .map(|chosen| {
            let flags = PERSONALITIES.iter().enumerate();
            let chosen = flags.filter(|(place, _)| chosen >> place & 1 == 1);
            chosen.fold(0, |all, (_, flag)| all | flag)
        })
        .chain([ASK_FOR_PERSONALITY])
        .map(|known| (0, Ne, known))
        .collect()
}

/// Steps that fail a call with this error when all conditions of one of the rules hold. With 0 it seems to succeed.
fn compile(call: i32, error: i32, rules: Vec<Vec<Condition>>) -> io::Result<BpfProgram> {
    /// The check of the architecture, of which seccompiler knows no 32-bit one.
    const ARCH_CHECK: usize = 3;
    let rules = rules.into_iter().map(|conditions| {
        let conditions = conditions.into_iter().map(|(argument, comparison, value)| {
            let value = u64::from(value.cast_unsigned());
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value)
        });
        SeccompRule::new(conditions.collect::<Result<_, _>>()?)
    });
    let rules = rules.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let filter = SeccompFilter::new(
        BTreeMap::from([(i64::from(call), rules)]),
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        TargetArch::x86_64,
    );
    let program = filter
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)?;
    Ok(program.into_iter().skip(ARCH_CHECK).collect())
}
