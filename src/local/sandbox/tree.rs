//! Who owns the files of a machine, seen from outside.

use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;

/// How the users inside a machine are numbered outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    /// All are the user of the engine.
    Same,
    /// User 0 inside is this one outside, and so on.
    From(u32),
}

/// The first of the users that machines of root are mapped to.
const FIRST_USER: u32 = 1_000_000;

impl Owners {
    /// What fits the user of this process.
    pub(super) fn of_this_user() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::From(FIRST_USER)
        } else {
            Self::Same
        }
    }

    /// The first mapped user, where there is a mapping.
    pub(super) fn first_user(self) -> Option<u32> {
        match self {
            Self::Same => None,
            Self::From(first) => Some(first),
        }
    }

    /// Gives a file to a user inside.
    pub(super) fn give(self, path: &Path, user: u32, group: u32) -> io::Result<()> {
        match self {
            Self::Same => Ok(()),
            Self::From(first) => lchown(
                path,
                Some(first.saturating_add(user)),
                Some(first.saturating_add(group)),
            ),
        }
    }
}
