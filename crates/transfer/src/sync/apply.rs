//! Changing what is named below a folder here, every step on held folders.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::difference::Difference;
use super::local_side::parent;
use crate::disk::folder::{Folder, FolderStack, Kind};
use crate::disk::stale_folders;
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::guest::script::Change;

/// Where what replaces something is made, and where what it replaces goes. All of it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Stage {
    folder: Folder,
    name: OsString,
    path: PathBuf,
    /// As long as this is open, no other transfer takes the folder for abandoned.
    lock: Option<File>,
}

/// What is new in a stage.
const NEW: &str = "new";

impl Stage {
    /// Makes a stage in a folder.
    pub(super) fn prepare(target: &Path, nonce: &str) -> Result<Self, Error> {
        let name = OsString::from(format!(".fastvm-{nonce}"));
        let path = target.join(&name);
        let failed = |error| Error::local("make the folder", &path, error);
        let folder = Folder::open(target).map_err(failed)?;
        let lock = Some(stale_folders::make_locked(&folder, &name).map_err(failed)?);
        Ok(Self {
            folder,
            name,
            path,
            lock,
        })
    }

    /// Where to make what is new.
    pub(super) fn new_path(&self) -> PathBuf {
        self.path.join(NEW)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.lock.take();
        self.folder.remove_tree(&self.name);
    }
}

/// Makes the changes in their order, below `root`.
pub(super) fn apply(
    root: &Path,
    work: &Difference,
    changes: &[(Change, Vec<MemberPath>)],
    stage: Option<&Stage>,
) -> Result<(), Error> {
    let failed = |error| Error::local("open the folder", root, error);
    let folder = Arc::new(Folder::open(root).map_err(failed)?);
    for (number, (change, paths)) in changes.iter().enumerate() {
        // Held handles would lead to what has been replaced.
        let mut descent = FolderStack::new(folder.clone());
        for (count, path) in paths.iter().enumerate() {
            let (action, done) = match change {
                Change::Swap(_) => {
                    let aside = format!("old-{number}-{count}");
                    ("replace", swap(&mut descent, path, stage, aside.as_ref()))
                }
                Change::Remove => ("remove", remove(&mut descent, path)),
                Change::Empty => ("remove the folder", remove_folder(&mut descent, path)),
                Change::Mode(_) | Change::Time(_) => {
                    ("set mode and time", settle(&mut descent, path, work))
                }
                Change::Owner(owner) => (
                    "give to its owner",
                    give(&folder, &mut descent, path, *owner),
                ),
            };
            done.map_err(|error| {
                Error::local(action, root.join(path_bytes::shown(path.as_bytes())), error)
            })?;
        }
    }
    Ok(())
}

/// What is there goes aside and what is new takes its place; if that fails, what was there comes back.
fn swap(
    descent: &mut FolderStack,
    path: &MemberPath,
    stage: Option<&Stage>,
    aside: &OsStr,
) -> io::Result<()> {
    let stage = stage.ok_or(io::ErrorKind::NotFound)?;
    let staged = Arc::new(stage.folder.folder(&stage.name)?);
    let mut new = FolderStack::new(Arc::new(staged.folder(OsStr::new(NEW))?));
    let (from, _) = parent(&mut new, path)?;
    let (folder, own) = parent(descent, path)?;
    folder.rename(&own, &staged, aside)?;
    from.rename(&own, folder, &own)
        .inspect_err(|_| drop(staged.rename(aside, folder, &own)))
}

fn remove(descent: &mut FolderStack, path: &MemberPath) -> io::Result<()> {
    let (folder, own) = parent(descent, path)?;
    gone(folder.remove_file(&own))
}

fn remove_folder(descent: &mut FolderStack, path: &MemberPath) -> io::Result<()> {
    let (folder, own) = parent(descent, path)?;
    gone(folder.remove_folder(&own))
}

fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Sets both at once: the source has both.
fn settle(descent: &mut FolderStack, path: &MemberPath, work: &Difference) -> io::Result<()> {
    // A lone file has a name here only.
    let state = work.source.get(path);
    let Some(state) = state.or_else(|| work.source.get(&MemberPath::default())) else {
        return Ok(());
    };
    if state.kind == Kind::Folder {
        return descent.to(path)?.settle(state.mode, state.modified);
    }
    let (folder, own) = parent(descent, path)?;
    Folder::settle_file(&folder.open_to_settle(&own)?, state.mode, state.modified)
}

fn give(
    root: &Folder,
    descent: &mut FolderStack,
    path: &MemberPath,
    owner: (u32, u32),
) -> io::Result<()> {
    if path.is_root() {
        return root.give(OsStr::new("."), owner);
    }
    let (folder, own) = parent(descent, path)?;
    folder.give(&own, owner)
}
