//! A job as a VM tells of it.

use crate::id::JobId;

/// A job and how it is. What comes from the VM may be anything that fits the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What it is called.
    pub id: JobId,
    /// The words of the command; empty where the VM does not tell them.
    pub command: Vec<String>,
    /// Whether some of the words are left out or cut, for want of room.
    pub is_cut: bool,
    /// How it is.
    pub state: State,
    /// When it was started, in seconds since 1970 by the clock of the VM.
    pub started: i64,
    /// When it ended, likewise.
    pub ended: Option<i64>,
    /// Its standard output.
    pub stdout: Log,
    /// Its standard error.
    pub stderr: Log,
    /// Some of its output could not be written, as for a full disk.
    pub has_lost_output: bool,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or begins to.
    Running,
    /// It has ended by itself, with this code.
    Exited(u8),
    /// A signal has ended it, as its code of 128 and the signal's number says.
    Killed(u8),
    /// It was ended at its time limit.
    TimedOut,
    /// It is gone, and nobody saw its end: the VM was started anew, or is a copy of the one it ran in.
    Lost,
}

/// What is kept of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How many bytes were written, of which so many were dropped for the limit of the log.
    pub end: u64,
    /// How many of the first bytes are not kept any more.
    pub dropped: u64,
}

impl State {
    /// The state of a command with an exit code, as a shell tells it.
    pub(crate) fn of_code(code: u8) -> Self {
        // The signals that end a process. 128 and others are codes like any.
        const FATAL: [u8; 22] = [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 30, 31,
        ];
        match code.checked_sub(128) {
            Some(signal) if FATAL.contains(&signal) => Self::Killed(signal),
            _ => Self::Exited(code),
        }
    }

    /// Returns whether nothing more is to come.
    pub fn is_over(self) -> bool {
        self != Self::Running
    }

    /// Returns the exit code: 124 at the time limit, 128 and the number for a signal; `None` where there is none.
    pub fn code(self) -> Option<u8> {
        match self {
            Self::Running | Self::Lost => None,
            Self::Exited(code) => Some(code),
            Self::Killed(signal) => Some(128 + signal),
            Self::TimedOut => Some(124),
        }
    }
}
