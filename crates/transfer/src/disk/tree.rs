//! What there is to send: the entries below the sources, found before the first byte moves.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::filter::Filter;
use crate::disk::folder::{Folder, Kind, Meta, PERMISSIONS};
use crate::disk::local_modes::LocalModes;
use crate::disk::scope::{Observer, names_to_visit};
use crate::disk::selection::Selection;
use crate::error::Error;
use crate::format::member_path::{DEEPEST, MemberPath};
use crate::format::mtime::Mtime;
use crate::format::path_bytes;
use crate::options::Links;
use crate::summary::{SkipReason, Skipped};

/// The entries of all sources, folders before what they hold.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    pub(crate) entries: Vec<Entry>,
    /// Content of all files, in bytes.
    pub(crate) bytes: u64,
    /// The same without holes.
    pub(crate) allocated: u64,
    pub(crate) files: u64,
    pub(crate) skipped: Vec<Skipped>,
    /// Where what is neither file, folder nor link would go.
    pub(crate) special: Vec<MemberPath>,
    pub(crate) unreadable: Vec<PathBuf>,
    /// What the target gets if it is made: the mode and time of a lone source folder.
    pub(crate) root: Option<Meta>,
    chosen: Chosen,
    /// The folders that a walk that follows links is in.
    above: Vec<(u64, u64)>,
}

/// What is taken of the sources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) filter: Filter,
    pub(crate) links: Links,
    pub(crate) local_modes: LocalModes,
    pub(crate) only: Selection,
    /// Paths below the sources, with all that is below them; everything without any. Not where links are followed.
    pub(crate) changed: Option<BTreeSet<MemberPath>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// One argument, or what a followed link leads to.
#[derive(Debug)]
pub(crate) struct Source {
    root: Root,
    /// As the user wrote it.
    shown: PathBuf,
    /// Where it goes below the target.
    place: MemberPath,
    lone_file: bool,
}

/// The folder that a source is, or the one its file lies in.
#[derive(Debug)]
enum Root {
    Held(Arc<Folder>),
    /// Opened when its turn comes, for there may be more links than files that can be held open.
    At(PathBuf),
}

impl Source {
    pub(crate) fn folder(&self) -> io::Result<Arc<Folder>> {
        match &self.root {
            Root::Held(folder) => Ok(folder.clone()),
            Root::At(path) => Folder::open(path).map(Arc::new),
        }
    }

    /// Where what is in its folder goes below the target.
    pub(crate) fn place_of(&self, path: &MemberPath) -> MemberPath {
        if path.is_root() {
            self.place.clone()
        } else {
            self.place.join(path.as_bytes())
        }
    }
}

/// One thing to send.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) source: usize,
    /// Below the source's folder.
    pub(crate) path: MemberPath,
    pub(crate) kind: Kind,
    /// Permission bits of a file.
    pub(crate) mode: u32,
    /// Content of a file, in bytes, and that without holes.
    pub(crate) size: u64,
    pub(crate) data: u64,
    pub(crate) modified: Mtime,
    /// Which file it is a name of, if that has several.
    pub(crate) one_of: Option<Box<(u64, u64)>>,
}

impl Entry {
    /// The folder that a source is.
    fn folder(source: usize) -> Self {
        Self {
            source,
            path: MemberPath::default(),
            kind: Kind::Folder,
            mode: 0,
            size: 0,
            data: 0,
            modified: Mtime::default(),
            one_of: None,
        }
    }
}

/// Whether a source becomes the target or goes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Is,
    Into,
}

/// Where the sources are.
#[derive(Debug)]
pub(crate) enum Roots {
    Paths(Vec<PathBuf>),
    /// One folder that is open, and how messages name it.
    #[cfg(unix)]
    Folder(Folder, PathBuf),
}

impl Tree {
    /// Walks the sources, wherever they are.
    pub(crate) fn scan_roots(
        roots: Roots,
        position: Position,
        chosen: Chosen,
    ) -> Result<Self, Error> {
        match roots {
            Roots::Paths(paths) => Self::scan(&paths, position, chosen),
            #[cfg(unix)]
            Roots::Folder(folder, shown) => {
                let place = match position {
                    Position::Is => MemberPath::default(),
                    Position::Into => own_name(&shown)?,
                };
                let mut tree = Self {
                    chosen,
                    ..Self::default()
                };
                tree.add_folder(folder, &shown, &place)?;
                tree.keep_chosen();
                Ok(tree)
            }
        }
    }

    /// Walks the sources.
    pub(crate) fn scan(
        paths: &[PathBuf],
        position: Position,
        chosen: Chosen,
    ) -> Result<Self, Error> {
        let mut tree = Self {
            chosen,
            ..Self::default()
        };
        let mut places = HashSet::new();
        for path in paths {
            let place = match position {
                Position::Is => MemberPath::default(),
                Position::Into => own_name(path)?,
            };
            if paths.len() > 1 {
                let name = (!place.is_root()).then(|| place.clone());
                apart(&mut places, name, || path.display().to_string())?;
            }
            tree.add(path, place)?;
        }
        tree.keep_chosen();
        Ok(tree)
    }

    /// How the summary and the errors name an entry.
    pub(crate) fn shown(&self, entry: &Entry) -> PathBuf {
        let source = &self.sources[entry.source];
        if source.lone_file {
            source.shown.clone()
        } else {
            below(&source.shown, &entry.path)
        }
    }

    /// Where an entry goes below the target.
    pub(crate) fn place(&self, entry: &Entry) -> MemberPath {
        let source = &self.sources[entry.source];
        if source.lone_file {
            source.place.clone()
        } else {
            source.place_of(&entry.path)
        }
    }

    /// What the modes of the sources say.
    pub(crate) fn local_modes(&self) -> LocalModes {
        self.chosen.local_modes
    }

    /// Forgets what a selection does not name.
    fn keep_chosen(&mut self) {
        let only = self.chosen.only.clone();
        let Some(picked) = only.entries() else { return };
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| picked.contains_key(&self.place(entry)));
        self.files = entries
            .iter()
            .filter(|entry| entry.kind != Kind::Folder)
            .count() as u64;
        self.entries = entries;
        self.bytes = only.bytes();
        self.allocated = self.allocated.min(self.bytes);
        // The comparison has told of these.
        self.skipped.clear();
        self.unreadable.clear();
    }

    fn add(&mut self, path: &Path, place: MemberPath) -> Result<(), Error> {
        let fail = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::LocalMissing(path.to_owned()),
            _ => Error::local("read", path, error),
        };
        let full = fs::canonicalize(path).map_err(fail)?;
        if fs::metadata(&full).map_err(fail)?.is_dir() {
            let folder = Folder::open(&full).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Error::Unreadable(vec![path.to_owned()]),
                _ => fail(error),
            })?;
            return self.add_folder(folder, path, &place);
        }
        self.observe(|observer| observer.file(&full));
        let (folder, name) = Folder::open_parent(&full).map_err(fail)?;
        let folder = Arc::new(folder);
        let source = self.sources.len();
        self.sources.push(Source {
            root: Root::Held(folder.clone()),
            shown: path.to_owned(),
            place,
            lone_file: true,
        });
        let inside = MemberPath::default().join(bytes_of(&name, path)?);
        let meta = folder.meta(&name).map_err(fail)?;
        if meta.kind != Kind::File {
            return Err(Error::Refused {
                path: path.display().to_string(),
                reason: "not a regular file; to send its output, pipe it to '-'".to_owned(),
            });
        }
        self.push(source, &folder, &name, inside, &meta);
        Ok(())
    }

    /// Notes a folder, and what is in it.
    fn add_folder(
        &mut self,
        folder: Folder,
        shown: &Path,
        place: &MemberPath,
    ) -> Result<(), Error> {
        let fail = |error| Error::local("read", shown, error);
        let folder = Arc::new(folder);
        let source = self.sources.len();
        self.sources.push(Source {
            root: Root::Held(folder.clone()),
            shown: shown.to_owned(),
            place: place.clone(),
            lone_file: false,
        });
        if place.is_root() {
            let meta = folder.own_meta().map_err(fail)?;
            let mode = self.chosen.local_modes.of_folder(meta.mode);
            self.root = Some(Meta { mode, ..meta });
        } else {
            self.entries.push(Entry::folder(source));
        }
        self.above = vec![folder.own_meta().map_err(fail)?.identity];
        let root = MemberPath::default();
        self.walk(source, &folder, &root, &root)
    }

    /// Notes what is in a folder: `path` is below its source, `inner` below the argument.
    fn walk(
        &mut self,
        source: usize,
        folder: &Folder,
        path: &MemberPath,
        inner: &MemberPath,
    ) -> Result<(), Error> {
        let at = below(&self.sources[source].shown, path);
        if inner.parts().count() > DEEPEST {
            return Err(Error::Refused {
                path: at.display().to_string(),
                reason: "nested more than 256 folders deep".to_owned(),
            });
        }
        let chosen = &self.chosen;
        let place = self.sources[source].place_of(path);
        let named = names_to_visit(&chosen.only, chosen.changed.as_ref(), &place, inner);
        let is_listed = named.is_none();
        let names = if let Some(names) = named {
            names
        } else {
            self.observe(|observer| observer.folder(&at));
            let names = folder.names();
            let mut names = names.map_err(|error| Error::local("list the folder", &at, error))?;
            names.sort_unstable();
            names
        };
        for name in names {
            let inside = path.join(bytes_of(&name, &at)?);
            let inner = inner.join(bytes_of(&name, &at)?);
            let shown = || at.join(&name);
            let meta = match folder.meta(&name) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if is_listed {
                        self.skipped.push(Skipped {
                            path: shown(),
                            reason: SkipReason::Vanished,
                        });
                    }
                    continue;
                }
                Err(error) => return Err(Error::local("read", shown(), error)),
            };
            if meta.kind == Kind::Link && self.chosen.links == Links::Follow {
                self.follow(source, &inside, &inner)?;
                continue;
            }
            if self
                .chosen
                .filter
                .leaves_out(&inner, meta.kind == Kind::Folder)
            {
                continue;
            }
            if meta.kind.is_special() {
                let place = self.sources[source].place.join(inside.as_bytes());
                self.special.push(place);
                self.skipped.push(Skipped {
                    path: shown(),
                    reason: SkipReason::Special,
                });
                continue;
            }
            if !self.push(source, folder, &name, inside.clone(), &meta) || meta.kind != Kind::Folder
            {
                continue;
            }
            match folder.folder(&name) {
                Ok(child) => {
                    let depth = self.above.len();
                    if self.chosen.links == Links::Follow {
                        self.above
                            .extend(child.own_meta().map(|meta| meta.identity));
                    }
                    self.walk(source, &child, &inside, &inner)?;
                    self.above.truncate(depth);
                }
                Err(error) if gone(&error) => {}
                Err(error) => return Err(Error::local("open the folder", shown(), error)),
            }
        }
        Ok(())
    }

    fn observe(&self, tell: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.chosen.observer {
            tell(&**observer);
        }
    }

    /// Notes what a link leads to in its place, as a source of its own.
    fn follow(
        &mut self,
        source: usize,
        path: &MemberPath,
        inner: &MemberPath,
    ) -> Result<(), Error> {
        let shown = below(&self.sources[source].shown, path);
        let place = self.sources[source].place.join(path.as_bytes());
        let found = fs::canonicalize(&shown).and_then(|full| Ok((fs::metadata(&full)?, full)));
        let Ok((found, full)) = found else {
            self.unreadable.push(shown);
            return Ok(());
        };
        if self.chosen.filter.leaves_out(inner, found.is_dir()) {
            return Ok(());
        }
        let failed = |error| Error::local("read", &shown, error);
        let next = self.sources.len();
        let lone_file = !found.is_dir();
        let (folder, name) = if lone_file {
            self.observe(|observer| observer.file(&full));
            let (folder, name) = Folder::open_parent(&full).map_err(failed)?;
            (folder, Some(name))
        } else {
            match Folder::open(&full) {
                Ok(folder) => (folder, None),
                Err(_) => {
                    self.unreadable.push(shown);
                    return Ok(());
                }
            }
        };
        let root = if lone_file {
            full.parent().unwrap_or(&full).to_owned()
        } else {
            full
        };
        self.sources.push(Source {
            root: Root::At(root),
            shown: shown.clone(),
            place,
            lone_file,
        });
        if let Some(name) = name {
            let meta = folder.meta(&name).map_err(failed)?;
            if meta.kind.is_special() {
                self.special.push(self.sources[next].place.clone());
                self.skipped.push(Skipped {
                    path: shown,
                    reason: SkipReason::Special,
                });
                return Ok(());
            }
            let inside = MemberPath::default().join(bytes_of(&name, &shown)?);
            self.push(next, &folder, &name, inside, &meta);
            return Ok(());
        }
        let identity = folder.own_meta().map_err(failed)?.identity;
        if self.above.contains(&identity) {
            return Err(Error::Refused {
                path: shown.display().to_string(),
                reason: "a link to a folder that contains it".to_owned(),
            });
        }
        self.entries.push(Entry::folder(next));
        self.above.push(identity);
        let depth = self.above.len();
        self.walk(next, &folder, &MemberPath::default(), inner)?;
        self.above.truncate(depth - 1);
        Ok(())
    }

    /// Notes an entry, if it can be read.
    fn push(
        &mut self,
        source: usize,
        folder: &Folder,
        name: &OsStr,
        path: MemberPath,
        meta: &Meta,
    ) -> bool {
        let content = |bytes| if meta.kind == Kind::File { bytes } else { 0 };
        let entry = Entry {
            source,
            path,
            kind: meta.kind,
            mode: meta.mode & PERMISSIONS,
            size: content(meta.size),
            data: content(meta.size.min(meta.allocated)),
            modified: meta.modified,
            one_of: (meta.kind == Kind::File && meta.links > 1).then(|| Box::new(meta.identity)),
        };
        if meta.kind != Kind::Link && !folder.is_readable(name, meta.kind) {
            self.unreadable.push(self.shown(&entry));
            return false;
        }
        if meta.kind != Kind::Folder {
            self.files += 1;
        }
        self.bytes = self.bytes.saturating_add(entry.size);
        self.allocated = self.allocated.saturating_add(entry.data);
        self.entries.push(entry);
        true
    }
}

/// What an open or a look-up says when the entry is no longer what it was.
pub(crate) fn gone(error: &io::Error) -> bool {
    #[cfg(unix)]
    let link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    #[cfg(not(unix))]
    let link = false;
    link || matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Fails where one of several sources would go to the place of another; without a name it is what a folder holds.
pub(crate) fn apart<N: Eq + Hash>(
    names: &mut HashSet<N>,
    name: Option<N>,
    path: impl FnOnce() -> String,
) -> Result<(), Error> {
    let reason = match name.map(|name| names.insert(name)) {
        Some(true) => return Ok(()),
        Some(false) => "another source has the same name",
        None => "what a folder holds can't be mixed with other sources",
    };
    Err(Error::Refused {
        path: path(),
        reason: reason.to_owned(),
    })
}

/// The last name of a path; `SRC/.` and `.` have none: what they hold is meant.
pub(crate) fn own_name(path: &Path) -> Result<MemberPath, Error> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes == b"." || bytes.ends_with(b"/.") {
        return Ok(MemberPath::default());
    }
    let found = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        None => fs::canonicalize(path)
            .ok()
            .and_then(|full| full.file_name().map(OsStr::to_owned)),
    };
    match found {
        Some(name) => Ok(MemberPath::default().join(bytes_of(&name, path)?)),
        None => Err(Error::Refused {
            path: path.display().to_string(),
            reason: "has no name to be copied under; name the target".to_owned(),
        }),
    }
}

fn bytes_of<'a>(name: &'a OsStr, at: &Path) -> Result<&'a [u8], Error> {
    path_bytes::to_bytes(name).ok_or_else(|| Error::Refused {
        path: at.join(name).display().to_string(),
        reason: "a VM cannot have a file of this name".to_owned(),
    })
}

fn below(shown: &Path, path: &MemberPath) -> PathBuf {
    if path.is_root() {
        shown.to_owned()
    } else {
        shown.join(path_bytes::shown(path.as_bytes()))
    }
}
