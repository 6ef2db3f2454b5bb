//! Where a download lands: a private folder beside the target while it is unpacked, then one rename for each path that is new or replaced.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::folder::{Folder, FolderStack, Kind, Meta};
use crate::disk::stale_folders::{self, StaleFolder};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::path_bytes;

const TREE: &str = "tree";
const SPECIAL_IN_THE_WAY: &str = "a device, pipe or socket is in the way, which no file replaces";

/// A private folder on the target's file system. It is gone when this is dropped, and so are folders above it that were made for nothing.
#[derive(Debug)]
pub(crate) struct TempFolder {
    parent: Folder,
    name: OsString,
    made: Vec<PathBuf>,
    /// As long as this is open, no other transfer takes the folder for abandoned.
    lock: Option<fs::File>,
}

impl TempFolder {
    /// `target` is what the copy is to become, for messages.
    fn new(
        parent: Folder,
        nonce: &str,
        made: Vec<PathBuf>,
        spared: &[String],
        target: &Path,
    ) -> Result<Self, Error> {
        stale_folders::sweep(&parent, spared);
        let name = OsString::from(format!(".fastvm-{nonce}"));
        let lock = stale_folders::make_locked(&parent, &name)
            .map_err(|error| Error::local("write there", target, error))?;
        Ok(Self {
            parent,
            name,
            made,
            lock: Some(lock),
        })
    }

    fn folder(&self) -> io::Result<Folder> {
        self.parent.folder(&self.name)
    }

    /// What a file in it is called in a journal.
    fn temp(&self, name: &str) -> String {
        format!("{}/{name}", self.name.display())
    }

    /// Removes files from a folder in it, with all other names that they have there; returns how many names.
    fn leave_out(&self, folder: &str, paths: &[MemberPath], target: &Path) -> Result<u64, Error> {
        if paths.is_empty() {
            return Ok(0);
        }
        let failed = |error| Error::local("leave out what changed", target, error);
        let root = self
            .folder()
            .and_then(|stage| stage.folder(OsStr::new(folder)));
        let root = Arc::new(root.map_err(failed)?);
        let mut descent = FolderStack::new(root.clone());
        let (mut removed, mut others) = (0, HashSet::new());
        for path in paths {
            let Some((parent, own)) = path.split() else {
                continue;
            };
            let own = path_bytes::from_bytes(own).unwrap_or_default();
            let Ok(folder) = descent.to(&parent) else {
                continue;
            };
            let Ok(meta) = folder.meta(&own) else {
                continue;
            };
            // That something came into a folder, or went, says nothing about what else is in it.
            if meta.kind == Kind::Folder {
                continue;
            }
            folder.remove_file(&own).map_err(failed)?;
            removed += 1;
            if meta.links > 1 {
                others.insert(meta.identity);
            }
        }
        drop(descent);
        if others.is_empty() {
            return Ok(removed);
        }
        Ok(removed + remove_files(&root, &others).map_err(failed)?)
    }

    /// Returns whether names that differ only in case are one here.
    fn folds_case(&self) -> bool {
        let other = self.name.to_ascii_uppercase();
        self.parent.meta(&other).is_ok()
    }

    /// Bytes free where the copy goes.
    fn free_bytes(&self) -> u64 {
        self.parent.free_bytes().unwrap_or(u64::MAX)
    }

    /// Takes over a file that an earlier try was writing; `None` if it is not there.
    fn take_over(&self, earlier: &[StaleFolder], temp: &str, name: &str) -> Option<fs::File> {
        let (stage, old) = temp.split_once('/')?;
        let inherited = earlier.iter().find(|inherited| inherited.is(stage))?;
        let into = self.folder().ok()?;
        inherited
            .take(OsStr::new(old), &into, OsStr::new(name))
            .ok()
    }
}

/// Removes what killed transfers left beside a place and, where it is a folder, in it, but for what is spared.
pub(crate) fn sweep(place: &Path, spared: &[String]) {
    if let Ok((beside, _)) = Folder::open_parent(place) {
        stale_folders::sweep(&beside, spared);
    }
    if let Ok(within) = Folder::open(place) {
        stale_folders::sweep(&within, spared);
    }
}

/// Removes these files at any depth.
fn remove_files(folder: &Folder, files: &HashSet<(u64, u64)>) -> io::Result<u64> {
    let mut removed = 0;
    for name in folder.names()? {
        let meta = folder.meta(&name)?;
        if meta.kind == Kind::Folder {
            removed += remove_files(&folder.folder(&name)?, files)?;
        } else if files.contains(&meta.identity) {
            folder.remove_file(&name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// What killed tries of the same copy may have left beside or in a place, by the names of their stages.
#[derive(Debug, Default)]
pub(crate) struct EarlierTries {
    /// Their files may be taken over.
    pub(crate) stages: Vec<String>,
    /// They are of use to another source of the copy.
    pub(crate) spared: Vec<String>,
}

/// What killed tries of the same copy left in a folder, by the names of their stages; a sweep leaves it alone as long as it is locked.
fn inherit(parent: &Folder, stages: &[String]) -> Vec<StaleFolder> {
    let claim =
        |name: &String| StaleFolder::claim(parent.folder(OsStr::new(".")).ok()?, name.as_ref());
    stages.iter().filter_map(claim).collect()
}

/// How often a stage that will not go is removed again, and after which time.
const REMOVE_ATTEMPTS: u32 = 20;
const REMOVE_RETRY_DELAY: std::time::Duration = std::time::Duration::from_millis(20);

impl Drop for TempFolder {
    fn drop(&mut self) {
        // One open file less: they may have run out.
        self.lock.take();
        // Where they have run out, whoever holds the others lets go of some soon.
        for _ in 0..REMOVE_ATTEMPTS {
            self.parent.remove_tree(&self.name);
            if self.parent.meta(&self.name).is_err() {
                break;
            }
            std::thread::sleep(REMOVE_RETRY_DELAY);
        }
        // Only what is still empty goes: after a success it is not.
        for folder in self.made.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The place of a folder.
#[derive(Debug)]
pub(crate) struct TreeInstall {
    target: PathBuf,
    /// The folder that is there already.
    existing: Option<Folder>,
    stage: TempFolder,
    inherited: Vec<StaleFolder>,
}

impl TreeInstall {
    /// Makes room for a folder at `target`, after killed tries of the same copy.
    pub(crate) fn prepare(
        earlier: &EarlierTries,
        target: &Path,
        nonce: &str,
    ) -> Result<Self, Error> {
        let target_buf = target.to_owned();
        match fs::metadata(target) {
            Ok(meta) if meta.is_dir() => {
                let open = || {
                    Folder::open(target)
                        .map_err(|error| Error::local("open the folder", target, error))
                };
                let existing = open()?;
                let mut inherited = inherit(&existing, &earlier.stages);
                // A copy that made this folder worked beside it.
                if let Ok((beside, _)) = Folder::open_parent(target) {
                    inherited.extend(inherit(&beside, &earlier.stages));
                    stale_folders::sweep(&beside, &earlier.spared);
                }
                Ok(Self {
                    existing: Some(existing),
                    stage: TempFolder::new(open()?, nonce, Vec::new(), &earlier.spared, target)?,
                    target: target_buf,
                    inherited,
                })
            }
            Ok(_) => Err(conflict(target, "not a folder")),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && fs::symlink_metadata(target).is_err() =>
            {
                let (parent, made) = make_parents(target)?;
                Ok(Self {
                    existing: None,
                    inherited: inherit(&parent, &earlier.stages),
                    stage: TempFolder::new(parent, nonce, made, &earlier.spared, target)?,
                    target: target_buf,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(conflict(target, "one of its parents is not a folder"))
            }
            Err(error) => Err(Error::local("look at", target, error)),
        }
    }

    /// The empty folder to unpack into.
    pub(crate) fn open(&self) -> Result<Arc<Folder>, Error> {
        let failed = |error| Error::local("make the folder", &self.target, error);
        let folder = self.stage.folder().map_err(failed)?;
        folder.create_folder(OsStr::new(TREE)).map_err(failed)?;
        folder
            .folder(OsStr::new(TREE))
            .map(Arc::new)
            .map_err(failed)
    }

    /// Returns whether names that differ only in case are one where the copy goes.
    pub(crate) fn folds_case(&self) -> bool {
        self.stage.folds_case()
    }

    /// Bytes free where the copy goes.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.stage.free_bytes()
    }

    /// Makes the target, unless it is there, for a copy that comes in parts. `is_new` is told whether it was made, and answers whether it
    /// counts as new.
    pub(crate) fn begin(self, is_new: impl FnOnce(bool) -> bool) -> Result<PartsInstall, Error> {
        let Self {
            target,
            existing,
            mut stage,
            inherited,
        } = self;
        let failed = |error| Error::local("make the folder", &target, error);
        let new = existing.is_none();
        let folder = if let Some(folder) = existing {
            folder
        } else {
            let name = target.file_name().unwrap_or_default();
            stage.parent.create_folder(name).map_err(failed)?;
            stage.made.push(target.clone());
            stage.parent.folder(name).map_err(failed)?
        };
        Ok(PartsInstall {
            place: Mutex::new(Arc::new(folder)),
            new: is_new(new),
            stage,
            target,
            inherited,
        })
    }

    /// Removes these from what was unpacked; returns how many names they had.
    pub(crate) fn leave_out(&self, paths: &[MemberPath]) -> Result<u64, Error> {
        self.stage.leave_out(TREE, paths, &self.target)
    }

    /// Moves what was unpacked into place, then gives folders their modes and times. A folder that was there keeps its own.
    pub(crate) fn place(self, folders: &[(MemberPath, u32, Mtime)]) -> Result<(), Error> {
        let failed = |error| Error::local("move into place", &self.target, error);
        let stage = self.stage.folder().map_err(failed)?;
        let root = if let Some(existing) = &self.existing {
            let tree = stage.folder(OsStr::new(TREE)).map_err(failed)?;
            // It would be moved into the stage, and go with it.
            if tree.meta(&self.stage.name).is_ok() {
                return Err(conflict(
                    &self.target.join(&self.stage.name),
                    "it has the name of the folder that the copy is made in",
                ));
            }
            check(&tree, existing, &self.target)?;
            merge(&tree, existing, &self.target)?;
            Folder::open(&self.target)
        } else {
            let name = self.target.file_name().unwrap_or_default();
            stage
                .rename(OsStr::new(TREE), &self.stage.parent, name)
                .map_err(failed)?;
            self.stage.parent.folder(name)
        };
        let root = Arc::new(root.map_err(failed)?);
        settle(root, &self.target, folders, self.existing.is_none())
    }
}

/// Gives folders their modes and times, deepest first; the root only when it is new.
fn settle(
    root: Arc<Folder>,
    target: &Path,
    folders: &[(MemberPath, u32, Mtime)],
    new: bool,
) -> Result<(), Error> {
    let mut descent = FolderStack::new(root);
    let mut folders: Vec<_> = folders
        .iter()
        .filter(|(path, ..)| !path.is_root() || new)
        .collect();
    folders.sort_by(|one, other| other.0.cmp(&one.0));
    for (path, mode, modified) in folders {
        let settle = |folder: &Folder| folder.settle(*mode, *modified);
        descent.to(path).and_then(settle).map_err(|error| {
            let at = target.join(path_bytes::shown(path.as_bytes()));
            Error::local("set mode and time", at, error)
        })?;
    }
    Ok(())
}

/// The place of a folder that comes in parts.
#[derive(Debug)]
pub(crate) struct PartsInstall {
    target: PathBuf,
    /// The target itself; one part is moved into it at a time.
    place: Mutex<Arc<Folder>>,
    new: bool,
    stage: TempFolder,
    inherited: Vec<StaleFolder>,
}

impl PartsInstall {
    /// Takes over a file of an earlier try, by its name in the journal; `None` if it is not there.
    pub(crate) fn take_over(&self, temp: &str, name: &str) -> Option<fs::File> {
        self.stage.take_over(&self.inherited, temp, name)
    }

    /// Removes what else earlier tries left.
    pub(crate) fn let_go(&mut self) {
        self.inherited.clear();
    }

    /// Bytes free where the copy goes.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.stage.free_bytes()
    }

    /// What a file beside the copy is called in a journal.
    pub(crate) fn temp(&self, name: &str) -> String {
        self.stage.temp(name)
    }

    /// An empty folder to unpack a part into.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<Folder>, Error> {
        let failed = |error| Error::local("make the folder", &self.target, error);
        let folder = self.stage.folder().map_err(failed)?;
        folder.create_folder(OsStr::new(name)).map_err(failed)?;
        let folder = folder.folder(OsStr::new(name)).map_err(failed)?;
        Ok(Arc::new(folder))
    }

    /// Moves a part that was unpacked into place.
    pub(crate) fn place(&self, name: &str) -> Result<(), Error> {
        let failed = |error| Error::local("move into place", &self.target, error);
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = self.stage.folder().map_err(failed)?;
        let part = stage.folder(OsStr::new(name)).map_err(failed)?;
        check(&part, &place, &self.target)?;
        merge(&part, &place, &self.target)?;
        drop(part);
        stage.remove_tree(OsStr::new(name));
        Ok(())
    }

    /// Removes these from a part that was unpacked; returns how many names they had.
    pub(crate) fn leave_out(&self, name: &str, paths: &[MemberPath]) -> Result<u64, Error> {
        self.stage.leave_out(name, paths, &self.target)
    }

    /// Removes a part that is to come again.
    pub(crate) fn forget(&self, name: &str) {
        if let Ok(stage) = self.stage.folder() {
            stage.remove_tree(OsStr::new(name));
        }
    }

    /// An empty file to write beside the copy.
    pub(crate) fn create(&self, name: &str) -> Result<fs::File, Error> {
        let folder = self.stage.folder();
        folder
            .and_then(|folder| folder.create_file(OsStr::new(name)))
            .map_err(|error| Error::local("write", &self.target, error))
    }

    /// Moves a written file into place, under all its names.
    pub(crate) fn place_file(
        &self,
        name: &str,
        file: &fs::File,
        (mode, modified): (u32, Mtime),
        places: &[MemberPath],
    ) -> Result<(), Error> {
        let failed = |error| Error::local("move into place", &self.target, error);
        Folder::settle_file(file, mode, modified).map_err(failed)?;
        let part = format!("{name}-names");
        let staged = self.open(&part)?;
        let stage = self.stage.folder().map_err(failed)?;
        let mut descent = FolderStack::new(staged);
        // The first takes the file itself, so that it must come last.
        for (number, place) in places.iter().enumerate().rev() {
            let Some((_, own)) = place.split() else {
                continue;
            };
            let own = path_bytes::from_bytes(own).ok_or_else(|| Error::Refused {
                path: place.to_string(),
                reason: "no file on this machine can have this name".to_owned(),
            })?;
            let parents: Vec<_> = std::iter::successors(place.parent(), MemberPath::parent)
                .take_while(|parent| !parent.is_root())
                .collect();
            for parent in parents.iter().rev() {
                let Some((above, own)) = parent.split() else {
                    continue;
                };
                let own = path_bytes::from_bytes(own).unwrap_or_default();
                match descent
                    .to(&above)
                    .and_then(|folder| folder.create_folder(&own))
                {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(failed(error));
                    }
                    _ => {}
                }
            }
            let parent = place.parent().unwrap_or_default();
            let folder = descent.to(&parent).map_err(failed)?;
            let placed = if number == 0 {
                stage.rename(OsStr::new(name), folder, &own)
            } else {
                folder.create_hard_link(&own, &stage, OsStr::new(name))
            };
            placed.map_err(failed)?;
        }
        drop(descent);
        self.place(&part)
    }

    /// Each of these that is a file.
    pub(crate) fn stamps<'a>(
        &self,
        paths: impl Iterator<Item = Option<&'a MemberPath>>,
    ) -> Vec<Option<Meta>> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut descent = FolderStack::new(place.clone());
        let mut stamp = |path: &MemberPath| {
            let (parent, own) = path.split()?;
            let own = path_bytes::from_bytes(own)?;
            let meta = descent
                .to(&parent)
                .and_then(|folder| folder.meta(&own))
                .ok()?;
            (meta.kind == Kind::File).then_some(meta)
        };
        paths.map(|path| path.and_then(&mut stamp)).collect()
    }

    /// Fails if something stands where something of another kind is to go.
    pub(crate) fn check<'a>(
        &self,
        entries: impl Iterator<Item = (&'a MemberPath, Kind)>,
    ) -> Result<(), Error> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut descent = FolderStack::new(place.clone());
        for (path, kind) in entries {
            let Some((parent, own)) = path.split() else {
                continue;
            };
            let own = path_bytes::from_bytes(own).unwrap_or_default();
            let Ok(there) = descent.to(&parent).and_then(|folder| folder.meta(&own)) else {
                continue;
            };
            let reason = match (there.kind, kind) {
                (Kind::Folder, Kind::Folder) => continue,
                (Kind::Folder, _) => "a folder is in the way",
                (_, Kind::Folder) => "not a folder",
                (Kind::Special(_), _) => SPECIAL_IN_THE_WAY,
                _ => continue,
            };
            let at = self.target.join(path_bytes::shown(path.as_bytes()));
            return Err(conflict(&at, reason));
        }
        Ok(())
    }

    /// Gives all folders their modes and times. One that was there keeps its own, if it is the target itself.
    pub(crate) fn finish(&self, folders: &[(MemberPath, u32, Mtime)]) -> Result<(), Error> {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it is in the target, the time of that would be the time of its going.
        self.stage.parent.remove_tree(&self.stage.name);
        settle(place.clone(), &self.target, folders, self.new)
    }
}

/// The place of a file.
#[derive(Debug)]
pub(crate) struct FileInstall {
    target: PathBuf,
    stage: TempFolder,
}

impl FileInstall {
    /// Makes room for a file at a place, and takes over what an earlier try had written of it under this name in the journal.
    pub(crate) fn prepare(
        target: PathBuf,
        nonce: &str,
        (earlier, spared): (Option<&str>, &[String]),
    ) -> Result<(Self, Option<fs::File>), Error> {
        if fs::metadata(&target).is_ok_and(|meta| meta.is_dir()) {
            return Err(conflict(&target, "a folder is in the way"));
        }
        if fs::symlink_metadata(&target).is_ok_and(|meta| is_special(meta.file_type())) {
            return Err(conflict(&target, SPECIAL_IN_THE_WAY));
        }
        let (parent, made) = make_parents(&target)?;
        let stages = earlier.and_then(|temp| temp.split_once('/'));
        let stages: Vec<_> = stages
            .map(|(stage, _)| stage.to_owned())
            .into_iter()
            .collect();
        let inherited = inherit(&parent, &stages);
        let stage = TempFolder::new(parent, nonce, made, spared, &target)?;
        let taken = earlier.and_then(|temp| stage.take_over(&inherited, temp, TREE));
        Ok((Self { target, stage }, taken))
    }

    /// What the file is called in a journal while it is written.
    pub(crate) fn temp(&self) -> String {
        self.stage.temp(TREE)
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Bytes free where the copy goes.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.stage.free_bytes()
    }

    /// An empty file to write.
    pub(crate) fn create(&self) -> Result<fs::File, Error> {
        let folder = self
            .stage
            .folder()
            .map_err(|error| Error::local("write", &self.target, error))?;
        let _ = folder.remove_file(OsStr::new(TREE));
        folder
            .create_file(OsStr::new(TREE))
            .map_err(|error| Error::local("write", &self.target, error))
    }

    /// Moves the written file into place. Where it replaces one, it is on the disk before: a crash leaves the old one or the new one.
    pub(crate) fn place(
        self,
        file: &fs::File,
        mode: u32,
        modified: Option<Mtime>,
    ) -> Result<(), Error> {
        let failed = |error| Error::local("write", &self.target, error);
        let modified = match modified {
            Some(modified) => modified,
            None => Folder::file_meta(file).map_err(failed)?.modified,
        };
        Folder::settle_file(file, mode, modified).map_err(failed)?;
        let name = self.target.file_name().unwrap_or_default();
        let replaces = self.stage.parent.meta(name).is_ok();
        if replaces {
            file.sync_all().map_err(failed)?;
        }
        self.stage
            .folder()
            .and_then(|folder| folder.rename(OsStr::new(TREE), &self.stage.parent, name))
            .map_err(failed)
    }
}

fn is_special(kind: fs::FileType) -> bool {
    !kind.is_file() && !kind.is_dir() && !kind.is_symlink()
}

/// Makes the folders above a path; says which.
fn make_parents(target: &Path) -> Result<(Folder, Vec<PathBuf>), Error> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Err(conflict(target, "has no parent folder")),
    };
    let mut missing: Vec<_> = parent
        .ancestors()
        .take_while(|folder| {
            !folder.as_os_str().is_empty() && fs::symlink_metadata(folder).is_err()
        })
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            conflict(parent, "not a folder")
        }
        _ => Error::local("make the folder", parent, error),
    };
    let made = fs::create_dir_all(parent).and_then(|()| Folder::open(parent));
    if made.is_err() {
        for folder in missing.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
    Ok((made.map_err(failed)?, missing))
}

/// A folder goes only where there is a folder or nothing, anything else only where there is no folder. Known before the first move.
fn check(staged: &Folder, target: &Folder, at: &Path) -> Result<(), Error> {
    let failed = |error| Error::local("look at", at, error);
    for name in staged.names().map_err(failed)? {
        let folder = staged.meta(&name).map_err(failed)?.kind == Kind::Folder;
        let there = target.meta(&name).ok().map(|meta| meta.kind);
        match there {
            Some(Kind::Folder) if folder => {
                let at = at.join(&name);
                let failed = |error| Error::local("open the folder", &at, error);
                check(
                    &staged.folder(&name).map_err(failed)?,
                    &target.folder(&name).map_err(failed)?,
                    &at,
                )?;
            }
            Some(Kind::Folder) => {
                return Err(conflict(&at.join(&name), "a folder is in the way"));
            }
            Some(Kind::Link) if folder => {
                return Err(conflict(
                    &at.join(&name),
                    "a link is in the way, and links are not followed",
                ));
            }
            Some(_) if folder => {
                return Err(conflict(&at.join(&name), "not a folder"));
            }
            Some(Kind::Special(_)) => {
                return Err(conflict(&at.join(&name), SPECIAL_IN_THE_WAY));
            }
            _ => {}
        }
    }
    Ok(())
}

fn merge(staged: &Folder, target: &Folder, at: &Path) -> Result<(), Error> {
    let failed = |error| Error::local("move into", at, error);
    for name in staged.names().map_err(failed)? {
        let folder = staged.meta(&name).map_err(failed)?.kind == Kind::Folder;
        if folder && target.meta(&name).is_ok() {
            merge(
                &staged.folder(&name).map_err(failed)?,
                &target.folder(&name).map_err(failed)?,
                &at.join(&name),
            )?;
        } else {
            staged
                .rename(&name, target, &name)
                .map_err(|error| Error::local("move into place", at.join(&name), error))?;
        }
    }
    Ok(())
}

fn conflict(path: &Path, reason: &str) -> Error {
    Error::Conflict {
        path: path.display().to_string(),
        reason: reason.to_owned(),
    }
}
