//! What repairs set aside in a data folder: no engine reads it, and nothing but a person removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Error;
use super::disk::disk_use;
use super::folder::Folder;

/// A file or tree that a repair set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is, in words.
    pub what: &'static str,
    pub path: PathBuf,
    /// What it takes on disk, in bytes.
    pub bytes: u64,
    /// When it was last changed, if the system says so.
    pub changed: Option<SystemTime>,
}

/// Finds what repairs set aside. Changes nothing, and finds nothing in a folder that is no engine's.
pub fn leftovers(data: &Path) -> Vec<Leftover> {
    let folder = Folder::at(data);
    if !folder.is_ours() || folder.check_owner().is_err() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in entries(folder.root()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if Folder::is_set_aside(&name) {
            found.push(leftover("damaged state", path));
        }
    }
    for kind in entries(&folder.lost()) {
        let lost = entries(&kind).into_iter();
        found.extend(lost.map(|path| leftover("files of a lost VM or volume", path)));
    }
    found
}

/// Removes one of [`leftovers`].
pub fn remove_leftover(leftover: &Leftover) -> Result<(), Error> {
    Ok(fastvm_sandbox::remove_tree(&leftover.path)?)
}

fn leftover(what: &'static str, path: PathBuf) -> Leftover {
    let found = fs::symlink_metadata(&path).ok();
    Leftover {
        what,
        bytes: disk_use(&path),
        changed: found.and_then(|found| found.modified().ok()),
        path,
    }
}

/// The paths in a folder, in the order of their names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
