//! Who owns the files of a machine, seen from outside.

use std::fs;
use std::io;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::sync::OnceLock;

use rustix::thread::CapabilitySet;

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
/// How many users a machine of root has.
pub(super) const USERS: u32 = 65536;

impl Owners {
    /// Returns what fits the user of this process. Root of a container that may not mount, or knows too few users, is
    /// treated like an ordinary user.
    pub(super) fn of_this_user() -> Self {
        static OWNERS: OnceLock<Owners> = OnceLock::new();
        *OWNERS.get_or_init(|| {
            let knows_users = || ["uid_map", "gid_map"].into_iter().all(maps_machine_users);
            if rustix::process::geteuid().is_root() && may_mount() && knows_users() {
                Self::From(FIRST_USER)
            } else {
                Self::Same
            }
        })
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

fn may_mount() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Returns whether the user namespace of this process knows all users that machines are mapped to.
fn maps_machine_users(file: &str) -> bool {
    let map = fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
    covers(&map, FIRST_USER, USERS)
}

/// Returns whether one line of a user mapping, `inside outside count`, holds all of `count` users from `first` on.
fn covers(map: &str, first: u32, count: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let (first, end) = (u64::from(first), u64::from(first) + u64::from(count));
        matches!(numbers[..], [start, _, length] if start <= first && end <= start + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_covers_users_that_lie_in_one_line() {
        assert!(covers("         0          0 4294967295", 1_000_000, 65536));
        assert!(!covers("0 100000 65536", 1_000_000, 65536));
        assert!(covers("0 1000 1\n1 100000 1065535", 1_000_000, 65536));
        assert!(!covers("", 0, 1));
    }
}
