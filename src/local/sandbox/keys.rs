//! Kernel keys have no namespace: without this, those of whoever started the engine could be read inside.

use std::io;

use super::filter::{
    ALLOW, answer, answer_with, if_above, if_at_least, if_equal, lay, load_architecture,
    load_number,
};

/// Takes the calls on kernel keys away from this process and all it starts.
pub(super) fn forbid() -> io::Result<()> {
    const FORBIDDEN: [(u32, u32); 2] = if cfg!(target_arch = "x86_64") {
        [(0xc000_003e, 248), (0x4000_0003, 286)] // the 64-bit and the 32-bit calls
    } else {
        [(0xc000_00b7, 217), (0x4000_0028, 309)]
    };
    let mut program = Vec::new();
    for (architecture, first) in FORBIDDEN {
        program.extend([load_architecture(), if_equal(architecture, 0, 6)]);
        program.extend(load_number());
        program.extend([
            if_at_least(first, 0, 2),
            if_above(first + 2, 1, 0), // add_key, request_key, keyctl
            answer(answer_with(libc::ENOSYS)),
            answer(ALLOW),
        ]);
    }
    program.push(answer(ALLOW));
    lay(program)
}
