//! What earlier commands left on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::candidate::{Candidate, Target};
use super::candidates::Rules;
use crate::config::Paths;
use crate::error::{Error, Kind};

/// A copy that was cut off is taken up again within this time; its journal stays so long.
const JOURNAL_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Finds journals of copies and what repairs set aside.
pub(super) fn find(paths: &Paths, rules: &Rules<'_>) -> Vec<Candidate> {
    let mut found: Vec<_> = entries(&paths.transfers)
        .into_iter()
        .filter_map(|path| journal(path, rules))
        .collect();
    #[cfg(target_os = "linux")]
    found.extend(set_aside(paths));
    found.retain(|candidate| rules.is_old_enough(&candidate.created_at));
    found
}

/// Removes a leftover.
pub(super) fn remove(target: &Target) -> Result<(), Error> {
    match target {
        Target::Journal(path) => {
            let failed = |error| {
                Error::new(
                    Kind::LocalIo,
                    format!("cannot remove {}: {error}", path.display()),
                )
            };
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            }
        }
        #[cfg(target_os = "linux")]
        Target::SetAside(leftover) => Ok(fastvm_engine::remove_leftover(leftover)?),
        _ => Ok(()),
    }
}

/// The journal of a copy that nobody is at, and that is too old to be taken up again.
fn journal(path: PathBuf, rules: &Rules<'_>) -> Option<Candidate> {
    let found = fs::symlink_metadata(&path).ok()?;
    let changed = time(found.modified().ok());
    let is_free = || File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
    let is_chosen = found.is_file() && rules.is_older(&changed, JOURNAL_LIFE) && is_free();
    is_chosen.then(|| Candidate {
        kind: "leftover",
        id: path.display().to_string(),
        name: "journal".to_owned(),
        created_at: changed,
        reason: "a copy was cut off and not taken up again".to_owned(),
        deleted: false,
        target: Target::Journal(path),
    })
}

#[cfg(target_os = "linux")]
fn set_aside(paths: &Paths) -> Vec<Candidate> {
    let found = fastvm_engine::leftovers(&paths.local).into_iter();
    let candidate = |leftover: fastvm_engine::Leftover| Candidate {
        kind: "leftover",
        id: leftover.path.display().to_string(),
        name: leftover.what.to_owned(),
        created_at: time(leftover.changed),
        reason: format!(
            "a repair set it aside, {}",
            crate::output::human::size(leftover.bytes)
        ),
        deleted: false,
        target: Target::SetAside(leftover),
    };
    found.map(candidate).collect()
}

/// In RFC 3339; empty where the system does not say it.
fn time(changed: Option<SystemTime>) -> String {
    let time = changed.and_then(|time| Timestamp::try_from(time).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
