//! Steps of programs that look at system calls (seccomp), in the kernel's own machine language.

use std::io;

use super::kernel;

/// What a filter answers: the call goes ahead.
pub(super) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// What a filter answers: the call fails with this number, or seems to succeed with 0.
pub(super) const fn answer_with(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.unsigned_abs()
}

/// Numbers above it are those of the x32 form of the same calls.
const WITHOUT_X32: u32 = !0x4000_0000;

/// Of `seccomp_data`: the number of the call, its architecture, and the lower halves of its arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A step, with how many to skip when a comparison holds and when it does not.
fn step(code: u32, value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: then,
        jf: otherwise,
        k: value,
    }
}

fn load(offset: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

pub(super) fn load_architecture() -> libc::sock_filter {
    load(ARCHITECTURE)
}

/// The number of the call, in its 64-bit form: two steps.
pub(super) fn load_number() -> [libc::sock_filter; 2] {
    let mask = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
    [load(NUMBER), step(mask, WITHOUT_X32, 0, 0)]
}

/// The lower half of an argument, counted from 0.
pub(super) fn load_argument(which: u32) -> libc::sock_filter {
    load(ARGUMENTS + 8 * which)
}

pub(super) fn if_equal(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    step(
        libc::BPF_JMP | libc::BPF_K | libc::BPF_JEQ,
        value,
        then,
        otherwise,
    )
}

pub(super) fn if_at_least(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    step(
        libc::BPF_JMP | libc::BPF_K | libc::BPF_JGE,
        value,
        then,
        otherwise,
    )
}

pub(super) fn if_above(value: u32, then: u8, otherwise: u8) -> libc::sock_filter {
    step(
        libc::BPF_JMP | libc::BPF_K | libc::BPF_JGT,
        value,
        then,
        otherwise,
    )
}

pub(super) fn answer(value: u32) -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

/// Lays the filter on this process and all it starts. A kernel without filters is left as it is.
pub(super) fn lay(mut program: Vec<libc::sock_filter>) -> io::Result<()> {
    match kernel::filter_calls(&mut program) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}
