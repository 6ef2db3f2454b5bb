//! Owners in a machine that has one user only, as an ordinary user's has.
//!
//! No file there can belong to anybody else, and the kernel refuses to make it so. But `tar` as root, `apt-get` and `npm` give files away
//! all the time, and would fail. So giving a file away seems to succeed, and it stays root's.

use std::io;

use super::filter::{
    ALLOW, answer, answer_with, if_equal, lay, load_architecture, load_argument, load_number,
};

/// "Leave it as it is", for a user or a group.
const UNCHANGED: u32 = u32::MAX;

/// The 64-bit calls, each with the place of the user among its arguments; the group comes next.
#[cfg(target_arch = "x86_64")]
const CALLS: &[(u32, u32)] = &[(92, 1), (93, 1), (94, 1), (260, 2)]; // chown, fchown, lchown, fchownat
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(not(target_arch = "x86_64"))]
const CALLS: &[(u32, u32)] = &[(55, 1), (54, 2)]; // fchown, fchownat
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Lets this process and all it starts give files to users and groups that are not there, without effect.
pub(super) fn pretend() -> io::Result<()> {
    let mut program = vec![
        load_architecture(),
        if_equal(ARCHITECTURE, 1, 0),
        answer(ALLOW),
    ];
    for (call, user) in CALLS {
        program.extend(load_number());
        program.extend([
            if_equal(*call, 0, 8), // to the next call
            load_argument(*user),
            if_equal(0, 1, 0),
            if_equal(UNCHANGED, 0, 3), // to the pretence
            load_argument(*user + 1),
            if_equal(0, 2, 0),
            if_equal(UNCHANGED, 1, 0),
            answer(answer_with(0)),
            answer(ALLOW),
        ]);
    }
    program.push(answer(ALLOW));
    lay(program)
}
