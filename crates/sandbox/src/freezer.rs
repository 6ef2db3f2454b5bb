//! Stopping all processes of a control group at once.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::cgroup::wait_until;

/// How long processes may take to freeze, and how often to look.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(2);
const FREEZE_INTERVAL: Duration = Duration::from_micros(100);
/// After so many looks a group of version 1 is thawed for some time and frozen again: a process that forks or execs at the
/// wrong moment can keep it from ever being frozen. (runc does the same.)
const LOOKS_AT_ONCE: u32 = 200;
const THAWED_FOR: Duration = Duration::from_millis(5);

/// The files that freeze a control group and tell whether it is frozen. Who holds them can do so without its path.
#[derive(Debug)]
pub(super) enum Freezer {
    Version1 { state: File },
    Version2 { freeze: File, events: File },
}

impl Freezer {
    /// Returns none for a group that has no freezer, or is not there.
    pub(super) fn open(group: &Path) -> io::Result<Option<Self>> {
        let open = |name: &str| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(group.join(name));
            match file {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                other => other.map(Some),
            }
        };
        if let Some(state) = open("freezer.state")? {
            return Ok(Some(Self::Version1 { state }));
        }
        let Some(freeze) = open("cgroup.freeze")? else {
            return Ok(None);
        };
        let events = File::open(group.join("cgroup.events"))?;
        Ok(Some(Self::Version2 { freeze, events }))
    }

    /// Stops all processes, and returns when each has stopped. If that takes too long, all go on.
    pub(super) fn freeze(&self) -> io::Result<()> {
        let frozen = self.set(true);
        if frozen.is_err() {
            self.set(false)?;
        }
        frozen
    }

    /// Lets all processes go on.
    pub(super) fn thaw(&self) -> io::Result<()> {
        self.set(false)
    }

    fn set(&self, frozen: bool) -> io::Result<()> {
        match self {
            Self::Version1 { state } => {
                let wanted = if frozen { "FROZEN" } else { "THAWED" };
                write(state, wanted)?;
                let mut looks = 0;
                wait_until(FREEZE_TIMEOUT, FREEZE_INTERVAL, || {
                    if read(state)?.trim() == wanted {
                        return Ok(true);
                    }
                    looks += 1;
                    if looks % LOOKS_AT_ONCE == 0 {
                        write(state, "THAWED")?;
                        std::thread::sleep(THAWED_FOR);
                    }
                    write(state, wanted)?;
                    Ok(false)
                })
            }
            Self::Version2 { freeze, events } => {
                write(freeze, if frozen { "1" } else { "0" })?;
                let wanted = if frozen { "frozen 1" } else { "frozen 0" };
                wait_until(FREEZE_TIMEOUT, FREEZE_INTERVAL, || {
                    Ok(read(events)?.lines().any(|line| line == wanted))
                })
            }
        }
    }

    /// All descriptors.
    pub(super) fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let (first, second) = match self {
            Self::Version1 { state } => (state, None),
            Self::Version2 { freeze, events } => (freeze, Some(events)),
        };
        [Some(first), second].into_iter().flatten().map(AsFd::as_fd)
    }
}

fn write(file: &File, text: &str) -> io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)
}

fn read(file: &File) -> io::Result<String> {
    let mut text = [0; 128];
    let count = file.read_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text[..count]).into_owned())
}
