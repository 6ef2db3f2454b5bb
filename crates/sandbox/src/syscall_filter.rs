//! The filter of the system calls (seccomp) that all programs in a machine are under, in the kernel's own machine language.
//!
//! seccompiler writes the steps that look at arguments. It would compare the number of a call with all that are allowed, one after the
//! other: 4,000 steps for the two ways of calling, which the kernel takes 2.5 ms to check. So numbers are looked up by halves here.

use std::io;

use seccompiler::{BpfProgram, sock_filter};

use super::kernel;
use super::syscall_rules::{self, Rules};
use super::syscall_table::{ABIS, Abi};

/// Of `seccomp_data`: the number of the call and its architecture.
const NUMBER_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;
/// The number of a call that a tracer has told the kernel to skip.
const SKIPPED_CALL: u32 = u32::MAX;

/// What becomes of the calls of a range of numbers.
#[derive(PartialEq)]
enum Decision<'a> {
    Allow,
    Fail(i32),
    /// Steps that look at the arguments.
    Look(&'a BpfProgram),
}

/// Puts this process and all that it starts under the filter. Without a first user there is one user only, to whom all files belong:
/// then giving a file away seems to succeed.
///
/// Programs can still gain rights by running set-user-ID files, because root of the machine installs it.
pub(super) fn install(first_user: Option<u32>) -> io::Result<()> {
    let program = program(first_user)?.into_iter();
    let mut program: Vec<_> = program
        .map(|step| libc::sock_filter {
            code: step.code,
            jt: step.jt,
            jf: step.jf,
            k: step.k,
        })
        .collect();
    kernel::filter_calls(&mut program)
}

fn program(first_user: Option<u32>) -> io::Result<BpfProgram> {
    let mut decision = fail(libc::ENOSYS);
    for abi in ABIS {
        let ours = decide_by_number(&abi, &syscall_rules::of(&abi, first_user)?);
        decision = branch(libc::BPF_JEQ, abi.audit_arch, ours, decision);
    }
    Ok([load(ARCH_OFFSET), decision].concat())
}

fn decide_by_number(abi: &Abi, rules: &Rules) -> BpfProgram {
    let mut ranges: Vec<(u32, Decision<'_>)> = Vec::new();
    for (call, error) in abi.calls() {
        let decision = match (rules.get(&call), error) {
            (Some(steps), _) => Decision::Look(steps),
            (None, Some(error)) => Decision::Fail(error),
            (None, None) => Decision::Allow,
        };
        if ranges.last().is_none_or(|(_, last)| *last != decision) {
            ranges.push((call.unsigned_abs(), decision));
        }
    }
    ranges.push((SKIPPED_CALL, Decision::Allow));
    [load(NUMBER_OFFSET), find_range(&ranges)].concat()
}

/// Steps that go on with the decision of the last range that starts at or below the loaded number.
fn find_range(ranges: &[(u32, Decision<'_>)]) -> BpfProgram {
    match ranges {
        [] => fail(libc::ENOSYS),
        [(_, Decision::Allow)] => answer(libc::SECCOMP_RET_ALLOW),
        [(_, Decision::Fail(error))] => fail(*error),
        [(_, Decision::Look(steps))] => (*steps).clone(),
        _ => {
            let (lower, upper) = ranges.split_at(ranges.len() / 2);
            branch(
                libc::BPF_JGE,
                upper[0].0,
                find_range(upper),
                find_range(lower),
            )
        }
    }
}

/// Both sides must end with an answer.
fn branch(comparison: u32, value: u32, then: BpfProgram, otherwise: BpfProgram) -> BpfProgram {
    let code = libc::BPF_JMP | libc::BPF_K | comparison;
    let jump = match u8::try_from(then.len()) {
        Ok(length) => vec![step(code, value, 0, length)],
        // Only an unconditional jump goes that far.
        Err(_) => {
            let length = u32::try_from(then.len()).unwrap_or(u32::MAX);
            vec![
                step(code, value, 1, 0),
                step(libc::BPF_JMP | libc::BPF_JA, length, 0, 0),
            ]
        }
    };
    [jump, then, otherwise].concat()
}

fn load(offset: u32) -> BpfProgram {
    vec![step(
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        offset,
        0,
        0,
    )]
}

fn fail(error: i32) -> BpfProgram {
    answer(libc::SECCOMP_RET_ERRNO | error.unsigned_abs())
}

fn answer(value: u32) -> BpfProgram {
    vec![step(libc::BPF_RET | libc::BPF_K, value, 0, 0)]
}

/// One step, with how many to skip when a comparison holds and when it does not.
fn step(code: u32, value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: then,
        jf: otherwise,
        k: value,
    }
}
