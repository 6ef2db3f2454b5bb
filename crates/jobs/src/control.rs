//! Signalling and removing jobs.

use std::str::FromStr;
use std::time::Duration;

use crate::Jobs;
use crate::error::Error;
use crate::exec::{ABSENT, ENDED, LOST, script};
use crate::id::JobId;

/// The signals by name, with their numbers on Linux.
const SIGNALS: [(&str, u8); 21] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("URG", 23),
    ("WINCH", 28),
];

/// A signal that a process can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(&'static str);

impl Signal {
    /// What asks a process to end.
    pub const TERM: Self = Self("TERM");

    /// Returns its name without `SIG`.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Returns the name of a number, where it has one.
    pub fn name_of(number: u8) -> Option<&'static str> {
        let found = SIGNALS.iter().find(|(_, known)| *known == number);
        found.map(|(name, _)| *name)
    }
}

impl FromStr for Signal {
    type Err = String;

    /// Reads a name, with or without `SIG`, in any case, or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = text.parse::<u8>().ok();
        SIGNALS
            .iter()
            .find(|(known, code)| *known == name || Some(*code) == number)
            .map(|(known, _)| Self(known))
            .ok_or_else(|| {
                "no signal has this name: use TERM, KILL, INT, HUP, USR1, STOP, CONT or the like"
                    .to_owned()
            })
    }
}

/// Whether jobs that run are removed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// They are left alone.
    No,
    /// They are killed first.
    Kill,
}

/// What became of a job that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// It runs, and was left alone; or it could not be killed.
    Running,
    /// There was none.
    Absent,
}

impl Jobs {
    /// Sends a signal to all processes in the session of a job.
    ///
    /// # Errors
    /// [`Error::NotRunning`] and [`Error::NotFound`]; and as for [`Jobs::list`].
    pub async fn kill(&self, id: &JobId, signal: Signal) -> Result<(), Error> {
        let request = Self::request(script!("kill.sh"), &[id.as_str(), signal.name()]);
        signalled(id, self.run(&request).await?.code)
    }

    /// Ends a job with all processes in its session: SIGTERM, and after this time SIGKILL to those that are left.
    ///
    /// # Errors
    /// As for [`Jobs::kill`].
    pub async fn end(&self, id: &JobId, grace: Duration) -> Result<(), Error> {
        let steps = (grace.as_millis() / 50).to_string();
        let request = Self::request(script!("end.sh"), &[id.as_str(), &steps]);
        signalled(id, self.run(&request).await?.code)
    }

    /// Removes jobs with their logs, and tells what became of each.
    ///
    /// # Errors
    /// As for [`Jobs::list`].
    pub async fn remove(&self, ids: &[JobId], force: Force) -> Result<Vec<Removed>, Error> {
        let mut removed = Vec::new();
        // So many that the words fit in a request.
        for ids in ids.chunks(1000) {
            let mut words = vec![match force {
                Force::No => "no",
                Force::Kill => "force",
            }];
            words.extend(ids.iter().map(JobId::as_str));
            let answer = self
                .run(&Self::request(script!("remove.sh"), &words))
                .await?;
            let told = answer.text.lines().map(|line| match line {
                "removed" => Some(Removed::Done),
                "running" => Some(Removed::Running),
                "absent" => Some(Removed::Absent),
                _ => None,
            });
            let told: Option<Vec<_>> = told.collect();
            let told = told.filter(|told| told.len() == ids.len());
            removed.extend(told.ok_or_else(|| {
                let code = answer.code;
                Error::Unexpected(format!("the script that removes jobs ended with {code}"))
            })?);
        }
        Ok(removed)
    }
}

/// What the exit code of a script says that signals a job.
fn signalled(id: &JobId, code: i32) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        ENDED | LOST => Err(Error::NotRunning(id.clone())),
        ABSENT => Err(Error::NotFound(id.to_string())),
        code => Err(Error::Unexpected(format!("a script ended with {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        for (text, name) in [
            ("TERM", "TERM"),
            ("sigkill", "KILL"),
            ("9", "KILL"),
            ("Usr1", "USR1"),
        ] {
            assert_eq!(text.parse::<Signal>().map(Signal::name), Ok(name));
        }
        for bad in ["", "SIG", "0", "65", "-9", "KILL 1", "TERM;"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }
}
