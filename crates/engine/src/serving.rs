//! Which engines serve a data folder for other clients, so that they can be told where one is.
//!
//! Each has a record of its own in a folder, which it keeps locked: a record whose lock is free is that of an engine that
//! was killed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use super::folder::Folder;
use crate::background::Background as _;

/// Says that an engine serves, until it is dropped.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
    /// Locked for as long as it is open.
    _record: File,
}

#[derive(Serialize, Deserialize)]
struct Serving {
    url: String,
    /// Since the epoch, in nanoseconds: tells which engine is the last.
    since: u128,
}

/// Notes where an engine serves. Of several the last one is found.
pub fn announce(data: &Path, url: &str) -> Result<Announcement, Error> {
    let folder = Folder::open(data)?.serving();
    fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
    remove_stale(&folder);
    let serving = Serving {
        url: url.to_owned(),
        since: now(),
    };
    let json = serde_json::to_vec(&serving).map_err(|error| Error::System(error.into()))?;
    let path = folder.join(format!("{}.json", Uuid::new_v4()));
    // Others see it when it is complete and locked.
    let unfinished = path.with_extension("new");
    let record = write_locked(&unfinished, &json).map_err(Error::at(&unfinished))?;
    fs::rename(&unfinished, &path).map_err(Error::at(&path))?;
    Ok(Announcement {
        path,
        _record: record,
    })
}

fn write_locked(path: &Path, json: &[u8]) -> io::Result<File> {
    let mut record = OpenOptions::new().write(true).create_new(true).open(path)?;
    record.lock()?;
    record.write_all(json)?;
    Ok(record)
}

/// Returns the URL of an engine that serves a data folder now, `None` if none does.
pub fn find(data: &Path) -> Option<String> {
    records(&data.join(Folder::SERVING))
        .filter(|path| is_locked(path))
        .filter_map(|path| serde_json::from_slice::<Serving>(&fs::read(path).ok()?).ok())
        .max_by_key(|serving| serving.since)
        .map(|serving| serving.url)
}

fn now() -> u128 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// Removes the records of engines that were killed.
fn remove_stale(folder: &Path) {
    for path in records(folder).filter(|path| !is_locked(path)) {
        match fs::remove_file(path) {
            // Another engine that starts was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.or_warn("remove the record of an engine"),
        }
    }
}

fn records(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
}

/// A shared lock is tried: two that look at the same time must not take one another for the engine.
fn is_locked(path: &Path) -> bool {
    match File::open(path).map(|record| record.try_lock_shared()) {
        Ok(Err(fs::TryLockError::WouldBlock)) => true,
        Ok(_) | Err(_) => false,
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // What stays is found to be stale by whoever reads it.
        fs::remove_file(&self.path).or_warn("remove the record of this engine");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_engine_is_found_and_when_it_ends_the_one_before() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(find(data.path()), None);
        let first = announce(data.path(), "http://127.0.0.1:1").unwrap();
        assert_eq!(find(data.path()).as_deref(), Some("http://127.0.0.1:1"));
        let second = announce(data.path(), "http://127.0.0.1:2").unwrap();
        assert_eq!(find(data.path()).as_deref(), Some("http://127.0.0.1:2"));
        drop(second);
        assert_eq!(find(data.path()).as_deref(), Some("http://127.0.0.1:1"));
        let third = announce(data.path(), "http://127.0.0.1:3").unwrap();
        drop(first);
        assert_eq!(find(data.path()).as_deref(), Some("http://127.0.0.1:3"));
        drop(third);
        assert_eq!(find(data.path()), None);
    }

    #[test]
    fn the_record_of_a_killed_engine_counts_for_nothing_and_goes_with_the_next() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join(Folder::SERVING);
        fs::create_dir(&folder).unwrap();
        fs::write(
            folder.join("a.json"),
            r#"{"url":"http://127.0.0.1:1","since":1}"#,
        )
        .unwrap();
        assert_eq!(find(data.path()), None);
        drop(announce(data.path(), "http://127.0.0.1:2").unwrap());
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}
