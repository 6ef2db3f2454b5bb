//! Kernel keys have no namespace: without this, those of whoever started the engine could be read inside.

use std::io;

use super::kernel;

/// Takes the calls on kernel keys away from this process and all it starts. A kernel without filters is
/// left as it is.
pub(super) fn forbid() -> io::Result<()> {
    const FORBIDDEN: [(u32, u32); 2] = if cfg!(target_arch = "x86_64") {
        [(0xc000_003e, 248), (0x4000_0003, 286)] // the 64-bit and the 32-bit calls
    } else {
        [(0xc000_00b7, 217), (0x4000_0028, 309)]
    };
    const WITHOUT_X32: u32 = !0x4000_0000;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let step = |code: u32, value: u32, then: u8, otherwise: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: then,
        jf: otherwise,
        k: value,
    };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let answer = |value| step(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let jump = libc::BPF_JMP | libc::BPF_K;
    let mut program = Vec::new();
    for (architecture, first) in FORBIDDEN {
        program.extend([
            load(4), // the architecture
            step(jump | libc::BPF_JEQ, architecture, 0, 6),
            load(0), // the number of the call
            step(
                libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
                WITHOUT_X32,
                0,
                0,
            ),
            step(jump | libc::BPF_JGE, first, 0, 2),
            step(jump | libc::BPF_JGT, first + 2, 1, 0), // add_key, request_key, keyctl
            answer(DENY),
            answer(ALLOW),
        ]);
    }
    program.push(answer(ALLOW));
    match kernel::filter_calls(&mut program) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}
