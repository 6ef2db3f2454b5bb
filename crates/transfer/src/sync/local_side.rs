//! The end that is on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::digest;
use crate::disk::folder::{Folder, FolderStack, Kind};
use crate::disk::listing::{EntryState, Listing};
use crate::disk::tree::{Tree, gone};
use crate::error::Error;
use crate::format::member_path::{DEEPEST, MemberPath};
use crate::format::path_bytes;
use crate::guest::script::Digest;

/// What was looked at here.
#[derive(Clone, Debug)]
pub(super) enum LocalSide {
    /// The sources of an upload.
    Tree(Arc<Tree>),
    /// The folder that a download goes to.
    Folder(PathBuf),
    /// The file that a download becomes.
    File(PathBuf),
}

/// The states of what an upload sends.
pub(super) fn of_tree(tree: &Tree) -> Result<Listing, Error> {
    let mut side = Listing::new();
    each(tree, |place, shown, folder, own| {
        let failed = |error| Error::local("read", shown, error);
        let Some(own) = own else {
            let meta = folder.own_meta().map_err(failed)?;
            side.insert(place, EntryState::new(&meta, Vec::new()));
            return Ok(());
        };
        match state(folder, &own) {
            Ok(state) => drop(side.insert(place, state)),
            Err(error) if gone(&error) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(())
    })?;
    Ok(side)
}

/// All that is in a folder; links are not followed. `None` if there is none.
pub(super) fn of_folder(path: &Path) -> Result<Option<Listing>, Error> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(Error::Conflict {
                path: path.display().to_string(),
                reason: "not a folder".to_owned(),
            });
        }
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::local("look at", path, error)),
    }
    let folder =
        Folder::open(path).map_err(|error| Error::local("open the folder", path, error))?;
    let mut side = Listing::new();
    walk(&folder, path, &MemberPath::default(), &mut side)?;
    Ok(Some(side))
}

/// What a file is now, or the link that stands there. `None` if there is none.
pub(super) fn of_file(path: &Path) -> Result<Option<EntryState>, Error> {
    let found = Folder::open_parent(path).and_then(|(folder, own)| state(&folder, &own));
    match found {
        Ok(state) => Ok(Some(state)),
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(Error::local("look at", path, error)),
    }
}

impl LocalSide {
    /// Hashes files; what is not there or can't be read is not in the answer.
    pub(super) fn hash(
        &self,
        paths: &BTreeSet<MemberPath>,
    ) -> Result<BTreeMap<MemberPath, Digest>, Error> {
        let mut digests = BTreeMap::new();
        let mut add = |path: MemberPath, file: io::Result<File>| {
            let file = file.and_then(|file| match Folder::file_meta(&file)?.kind {
                Kind::File => digest(&file),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            });
            if let Ok(digest) = file {
                digests.insert(path, digest);
            }
        };
        match self {
            Self::Tree(tree) => each(tree, |place, _, folder, own| {
                if let Some(own) = own.filter(|_| paths.contains(&place)) {
                    add(place, folder.open_file(&own));
                }
                Ok(())
            })?,
            Self::Folder(root) => {
                let failed = |error| Error::local("open the folder", root, error);
                let mut descent = FolderStack::new(Arc::new(Folder::open(root).map_err(failed)?));
                for path in paths {
                    add(path.clone(), open(&mut descent, path));
                }
            }
            Self::File(path) => {
                let file =
                    Folder::open_parent(path).and_then(|(folder, own)| folder.open_file(&own));
                add(MemberPath::default(), file);
            }
        }
        Ok(digests)
    }
}

/// Opens a file below a held folder.
fn open(descent: &mut FolderStack, path: &MemberPath) -> io::Result<File> {
    let (folder, own) = parent(descent, path)?;
    folder.open_file(&own)
}

/// The held folder that an entry is in, and its name there.
pub(super) fn parent<'a>(
    descent: &'a mut FolderStack,
    path: &MemberPath,
) -> io::Result<(&'a Folder, std::ffi::OsString)> {
    let (folder, own) = path.split().ok_or(io::ErrorKind::InvalidInput)?;
    let own = path_bytes::from_bytes(own).ok_or(io::ErrorKind::InvalidFilename)?;
    Ok((descent.to(&folder)?, own))
}

/// Goes through the entries of a tree: where each goes, how it is shown, the folder it is in, and its name there unless it is that folder.
fn each(
    tree: &Tree,
    mut with: impl FnMut(MemberPath, PathBuf, &Folder, Option<std::ffi::OsString>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut source = None;
    let mut descent = None;
    for entry in &tree.entries {
        let shown = tree.shown(entry);
        let failed = |error| Error::local("open the folder", shown.clone(), error);
        if source != Some(entry.source) {
            source = Some(entry.source);
            let folder = tree.sources[entry.source].folder();
            descent = Some(FolderStack::new(folder.map_err(failed)?));
        }
        let Some(descent) = &mut descent else {
            continue;
        };
        let (parent, own) = match entry.path.split() {
            Some((parent, own)) => (parent, path_bytes::from_bytes(own)),
            None => (MemberPath::default(), None),
        };
        match descent.to(&parent) {
            Ok(folder) => with(tree.place(entry), shown, folder, own)?,
            Err(error) if gone(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn walk(folder: &Folder, root: &Path, path: &MemberPath, side: &mut Listing) -> Result<(), Error> {
    let shown = |path: &MemberPath| root.join(path_bytes::shown(path.as_bytes()));
    if path.parts().count() > DEEPEST {
        return Err(Error::Refused {
            path: shown(path).display().to_string(),
            reason: "nested more than 256 folders deep".to_owned(),
        });
    }
    let names = folder.names();
    for own in names.map_err(|error| Error::local("list the folder", shown(path), error))? {
        let Some(bytes) = path_bytes::to_bytes(&own) else {
            continue;
        };
        let inside = path.join(bytes);
        let failed = |error| Error::local("read", shown(&inside), error);
        let state = match state(folder, &own) {
            Err(error) if gone(&error) => continue,
            state => state.map_err(failed)?,
        };
        let kind = state.kind;
        side.insert(inside.clone(), state);
        if kind == Kind::Folder {
            let child = folder.folder(&own).map_err(failed)?;
            walk(&child, root, &inside, side)?;
        }
    }
    Ok(())
}

fn state(folder: &Folder, own: &std::ffi::OsStr) -> io::Result<EntryState> {
    let meta = folder.meta(own)?;
    let link = match meta.kind {
        Kind::Link => path_bytes::to_bytes(&folder.read_link(own)?)
            .unwrap_or_default()
            .to_vec(),
        _ => Vec::new(),
    };
    Ok(EntryState::new(&meta, link))
}
