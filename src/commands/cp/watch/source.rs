//! What is watched, and since when.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

use crate::error::{Error, Kind};

/// A clock that goes on by more than this beyond what has passed was set, or the machine slept.
const LARGEST_DRIFT_SECONDS: f64 = 5.0;

/// Which file or folder it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    is_folder: bool,
    #[cfg(unix)]
    number: (u64, u64),
    #[cfg(not(unix))]
    made: Option<SystemTime>,
}

impl Identity {
    /// Looks at what a path leads to.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self {
            is_folder: meta.is_dir(),
            #[cfg(unix)]
            number: {
                use std::os::unix::fs::MetadataExt as _;
                (meta.dev(), meta.ino())
            },
            #[cfg(not(unix))]
            made: meta.created().ok(),
        })
    }

    pub(super) fn is_folder(&self) -> bool {
        self.is_folder
    }
}

/// Says why the source cannot be looked at.
pub(super) fn unreachable(source: &Path, error: &io::Error) -> Error {
    let source = source.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(Kind::NotFound, format!("{source}: no such file or folder"))
        }
        _ => Error::new(Kind::LocalIo, format!("{source}: {error}")),
    }
}

/// Notices that the machine slept.
#[derive(Debug)]
pub(super) struct Clock {
    wall: SystemTime,
    steady: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            wall: SystemTime::now(),
            steady: Instant::now(),
        }
    }
}

impl Clock {
    /// Returns whether the clock on the wall has moved by more or less than the time that passed since the last call.
    pub(super) fn has_jumped(&mut self) -> bool {
        let before = std::mem::take(self);
        let passed = self.steady.duration_since(before.steady).as_secs_f64();
        let moved = match self.wall.duration_since(before.wall) {
            Ok(forward) => forward.as_secs_f64(),
            Err(back) => -back.duration().as_secs_f64(),
        };
        (moved - passed).abs() > LARGEST_DRIFT_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_machine_that_slept_or_whose_clock_was_set_is_noticed_once() {
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        for wall in [now - hour, now + hour] {
            let mut clock = Clock {
                wall,
                ..Clock::default()
            };
            assert!(clock.has_jumped());
            assert!(!clock.has_jumped());
        }
    }
}
