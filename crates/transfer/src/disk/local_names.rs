//! Which names of a VM can be on this machine. Some systems know no two names that differ only in case, and some no name with a colon;
//! there one file would replace another, or go into a stream of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::options::Incomplete;
use crate::summary::{SkipReason, Skipped};

/// Which names the system has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameRules {
    /// Returns whether a file can be called so.
    pub(crate) takes: fn(&[u8]) -> bool,
    /// Names that differ only in case are one.
    pub(crate) folds_case: bool,
}

/// The names of one copy, and what was left out of it.
#[derive(Debug)]
pub(crate) struct LocalNames {
    rules: NameRules,
    incomplete: Incomplete,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Each path in lower case, as it came first.
    first: HashMap<String, MemberPath>,
    left_out: BTreeMap<MemberPath, SkipReason>,
}

impl LocalNames {
    /// The names of this system, in a folder that folds case or does not.
    pub(crate) fn new(folds_case: bool, incomplete: Incomplete) -> Self {
        let takes = path_bytes::system_takes;
        Self::with_rules(NameRules { takes, folds_case }, incomplete)
    }

    pub(crate) fn with_rules(rules: NameRules, incomplete: Incomplete) -> Self {
        Self {
            rules,
            incomplete,
            known: Mutex::default(),
        }
    }

    /// Returns whether a path can be here beside those of before. What cannot is noted as left out.
    ///
    /// # Errors
    /// A path that cannot be, unless the copy goes on without.
    pub(crate) fn admit(&self, path: &MemberPath) -> Result<bool, Error> {
        let Some(reason) = self.problem(path) else {
            return Ok(true);
        };
        if self.incomplete == Incomplete::Stop {
            return Err(Error::Refused {
                path: path.to_string(),
                reason,
            });
        }
        self.leave_out(path, SkipReason::Name);
        Ok(false)
    }

    /// Notes what the copy goes on without.
    pub(crate) fn leave_out(&self, path: &MemberPath, reason: SkipReason) {
        self.lock().left_out.insert(path.clone(), reason);
    }

    /// What was left out.
    pub(crate) fn left_out(&self) -> Vec<Skipped> {
        let known = self.lock();
        let left_out = known.left_out.iter().map(|(path, reason)| Skipped {
            path: path_bytes::shown(path.as_bytes()),
            reason: *reason,
        });
        left_out.collect()
    }

    /// Why a path cannot be here: its own name, or one of a folder above it.
    fn problem(&self, path: &MemberPath) -> Option<String> {
        let NameRules { takes, folds_case } = self.rules;
        if path.parts().any(|part| !takes(part)) {
            return Some("no file on this machine can have this name".to_owned());
        }
        if !folds_case {
            return None;
        }
        let mut known = self.lock();
        let mut at = MemberPath::default();
        for part in path.parts() {
            at = at.join(part);
            let folded = String::from_utf8_lossy(at.as_bytes()).to_lowercase();
            let first = known.first.entry(folded).or_insert_with(|| at.clone());
            if *first != at {
                return Some(format!(
                    "on this machine it has the same name as {first}, from which it differs only in case"
                ));
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: NameRules = NameRules {
        takes: path_bytes::windows_takes,
        folds_case: true,
    };

    fn path(text: &str) -> MemberPath {
        MemberPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_that_cannot_be_here_are_left_out_with_what_is_below_them() {
        let names = LocalNames::with_rules(WINDOWS, Incomplete::KeepGoing);
        for (text, is_possible) in [
            ("src", true),
            ("src/Make", true),
            ("src/make", false),
            ("src/Make", true),
            ("SRC", false),
            ("SRC/other", false),
            ("ÄRGER", true),
            ("ärger", false),
            ("a:b", false),
            ("aux.txt", false),
            ("src/nul", false),
        ] {
            assert_eq!(names.admit(&path(text)).unwrap(), is_possible, "{text}");
        }
        let left_out = names.left_out();
        assert_eq!(left_out.len(), 7, "{left_out:?}");
        assert!(left_out.iter().all(|one| one.reason == SkipReason::Name));
    }

    #[test]
    fn without_keep_going_the_first_of_them_ends_the_copy() {
        let names = LocalNames::with_rules(WINDOWS, Incomplete::Stop);
        assert!(names.admit(&path("a/File")).unwrap());
        assert_eq!(
            names.admit(&path("A/file")).unwrap_err().to_string(),
            "A/file: on this machine it has the same name as a, from which it differs only in case"
        );
        assert_eq!(
            names.admit(&path("con")).unwrap_err().to_string(),
            "con: no file on this machine can have this name"
        );
    }

    #[test]
    fn where_case_counts_all_names_are_apart() {
        let names = LocalNames::new(false, Incomplete::Stop);
        for text in ["a", "A", "a/b", "A/B"] {
            assert!(names.admit(&path(text)).unwrap());
        }
    }
}
