//! Exit codes: what each number means, in one table.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    pub const SUCCESS: Self = Self(0);
    pub const FAILURE: Self = Self(1);
    pub const USAGE: Self = Self(2);
    pub const NOT_FOUND: Self = Self(3);
    pub const AUTH: Self = Self(4);
    pub const REFUSED: Self = Self(5);
    pub const QUOTA: Self = Self(6);
    pub const NETWORK: Self = Self(7);
    pub const WAIT_TIMEOUT: Self = Self(8);
    pub const PARTIAL: Self = Self(9);
    pub const DECLINED: Self = Self(10);
    /// The command's own time limit, as GNU `timeout`.
    pub const COMMAND_TIMEOUT: Self = Self(124);
    /// `exec` or `run` could not run the command, or lost it.
    pub const NOT_RUN: Self = Self(125);
    pub const INTERRUPTED: Self = Self(130);

    /// The code of a process that a signal ended: 128 + its number.
    pub fn of_signal(number: i32) -> Self {
        Self(u8::try_from(128 + number).unwrap_or(255))
    }

    /// The code of a command that ran in a VM; 255 for one that no process can end with.
    pub fn of_command(code: i32) -> Self {
        Self(u8::try_from(code).unwrap_or(255))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// What `fastvm help exit-codes` prints: code and meaning.
pub const TABLE: &[(&str, &str)] = &[
    ("0", "done"),
    (
        "1",
        "the server failed, a VM failed, local input or output failed, or all of several targets failed in different ways",
    ),
    (
        "2",
        "usage: refused input, or a prompt was needed and could not be asked",
    ),
    ("3", "not found, ambiguous, or a missing path"),
    ("4", "no API key, or the API said 401 or 403"),
    ("5", "refused by the API: 400, 409, 413, 422"),
    ("6", "quota or rate limit: 429, or a 403 that names a quota"),
    ("7", "network: name look-up, connect, TLS, a cut stream"),
    ("8", "a wait's deadline passed"),
    ("9", "some of several targets failed"),
    ("10", "you said no at a prompt"),
    ("124", "exec, run, job: the command met its --timeout"),
    (
        "125",
        "exec, run, job: fastvm could not run the command, or lost it",
    ),
    (
        "126",
        "exec, run: the VM found the command but could not execute it",
    ),
    ("127", "exec, run: the VM did not find the command"),
    ("130", "interrupted (Ctrl-C)"),
    ("143", "terminated"),
];
