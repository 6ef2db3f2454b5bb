//! Packing entries into an archive framed by us, from what the opened file says and never from a path or an old look at it.

pub(crate) mod holes;
mod results;
pub(crate) mod trailer;

pub(crate) use results::{Outcome, Results};

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::PathBuf;

use trailer::Counter;

use crate::disk::folder::{Folder, FolderStack, Kind, Meta};
use crate::disk::local_modes::LocalModes;
use crate::disk::tree::{Tree, gone};
use crate::error::Error;
use crate::format::header::{self, Head, Shape, TarDialect};
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::path_bytes;
use crate::progress::Progress;

/// Folder of the archive that holds the copy.
const TREE: &[u8] = b"tree";
const CHUNK: usize = 128 * 1024;
/// Mode of folders until everything is in place: nobody else looks in.
const PRIVATE_MODE: u32 = 0o700;

/// Why packing ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The writer takes no more; the reason is on its side.
    Closed(io::Error),
    Failed(Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

/// One archive to write.
#[derive(Debug)]
pub(crate) struct Shard<'a> {
    pub(crate) tree: &'a Tree,
    /// Which entries, in order.
    pub(crate) entries: Vec<usize>,
    pub(crate) extent: Extent,
    /// Name of the member that ends it.
    pub(crate) marker: String,
    pub(crate) dialect: TarDialect,
}

/// How much of a copy an archive holds.
#[derive(Clone, Debug)]
pub(crate) enum Extent {
    /// All of it, with the modes and times of folders.
    Whole,
    /// What is sent again after an archive.
    Repair,
    /// Some of it.
    Part {
        /// Folders above the entries that are no entries of this part, outermost first.
        above: Vec<MemberPath>,
        /// Folders that other parts put something into as well.
        shared: Vec<MemberPath>,
    },
    /// The modes and times of folders alone.
    Folders,
}

/// Writes the archive; returns how many members of the copy it holds.
pub(crate) fn pack(
    shard: &Shard<'_>,
    ledger: &mut Results,
    progress: &dyn Progress,
    out: &mut impl Write,
) -> Result<u64, Stop> {
    let mut packer = Packer {
        shard,
        ledger,
        progress,
        out,
        seen: HashMap::new(),
        folders: Vec::new(),
        members: 0,
        buffer: vec![0; CHUNK],
    };
    packer.head(TREE, Shape::Folder, PRIVATE_MODE, 0, Mtime::default())?;
    if let Extent::Part { above, .. } = &shard.extent {
        for place in above {
            packer.head(
                &in_tree(place),
                Shape::Folder,
                packer.first_mode(),
                0,
                Mtime::default(),
            )?;
            packer.members += 1;
        }
    }
    let mut source = None;
    let mut descent = None;
    for &index in &shard.entries {
        let entry = &shard.tree.entries[index];
        if source != Some(entry.source) {
            source = Some(entry.source);
            descent = match shard.tree.sources[entry.source].folder() {
                Ok(folder) => Some(FolderStack::new(folder)),
                Err(error) if gone(&error) => None,
                Err(error) => {
                    let shown = shard.tree.shown(entry);
                    return Err(Stop::Failed(Error::local("open the folder", shown, error)));
                }
            };
        }
        let outcome = match &mut descent {
            Some(descent) => packer.entry(index, descent)?,
            None => Outcome::Vanished,
        };
        let had = packer.ledger.set(index, outcome);
        if had == Outcome::Changed && !matches!(outcome, Outcome::Sent | Outcome::Changed) {
            packer.ledger.gone.push(index);
        }
    }
    packer.close()?;
    Ok(packer.members)
}

struct Packer<'a, W> {
    shard: &'a Shard<'a>,
    ledger: &'a mut Results,
    progress: &'a dyn Progress,
    out: &'a mut W,
    /// Files with several names that this archive holds: the place and entry of the first.
    seen: HashMap<(u64, u64), (Vec<u8>, usize)>,
    folders: Vec<(MemberPath, Meta)>,
    members: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<'_, W> {
    fn entry(&mut self, index: usize, descent: &mut FolderStack) -> Result<Outcome, Stop> {
        let entry = &self.shard.tree.entries[index];
        let place = self.shard.tree.place(entry);
        self.progress.file(&path_bytes::shown(place.as_bytes()));
        let failed =
            |action, error| Stop::Failed(Error::local(action, self.shard.tree.shown(entry), error));
        let Some((parent, own)) = entry.path.split() else {
            let meta = descent
                .to(&MemberPath::default())
                .and_then(Folder::own_meta)
                .map_err(|error| failed("read", error))?;
            return self.folder(place, meta);
        };
        let Some(own) = path_bytes::from_bytes(own) else {
            return Ok(Outcome::Vanished);
        };
        let folder = match descent.to(&parent) {
            Ok(folder) => folder,
            Err(error) if gone(&error) => return Ok(Outcome::Vanished),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Outcome::Unreadable);
            }
            Err(error) => return Err(failed("open the folder", error)),
        };
        let meta = match folder.meta(&own) {
            Ok(meta) => meta,
            Err(error) if gone(&error) => return Ok(Outcome::Vanished),
            Err(error) => return Err(failed("read", error)),
        };
        match meta.kind {
            Kind::Special(_) => Ok(Outcome::Special),
            Kind::Folder if entry.kind == Kind::Folder => self.folder(place, meta),
            // Its content was never looked at.
            Kind::Folder => Ok(Outcome::Vanished),
            // Other parts may hold what was found in it.
            _ if entry.kind == Kind::Folder && self.is_part() => Ok(Outcome::Vanished),
            Kind::Link => match folder.read_link(&own) {
                Ok(text) => self.link(
                    &place,
                    &meta,
                    path_bytes::to_bytes(&text).unwrap_or_default(),
                ),
                Err(error) if gone(&error) || error.kind() == io::ErrorKind::InvalidInput => {
                    Ok(Outcome::Vanished)
                }
                Err(error) => Err(failed("read the link", error)),
            },
            Kind::File => match folder.open_file(&own) {
                Ok(file) => {
                    let shown = self.shard.tree.shown(entry);
                    self.file(index, &place, file, &shown)
                }
                Err(error) if gone(&error) => Ok(Outcome::Vanished),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    Ok(Outcome::Unreadable)
                }
                Err(error) => Err(failed("open", error)),
            },
        }
    }

    /// The mode of a folder that gets its own when everything is in place; where it may have to keep the one that it has in the VM, it
    /// gets no other.
    fn first_mode(&self) -> u32 {
        self.local_modes().of_folder(PRIVATE_MODE)
    }

    fn local_modes(&self) -> LocalModes {
        self.shard.tree.local_modes()
    }

    fn folder(&mut self, place: MemberPath, meta: Meta) -> Result<Outcome, Stop> {
        let mode = self.local_modes().of_folder(meta.mode);
        let meta = Meta { mode, ..meta };
        match self.shard.extent {
            Extent::Folders => {}
            // It comes into its place long before the last part tells its mode.
            Extent::Part { .. } => {
                let mode = meta.mode | PRIVATE_MODE;
                self.head(&in_tree(&place), Shape::Folder, mode, 0, meta.modified)?;
            }
            Extent::Whole | Extent::Repair => {
                let mode = self.first_mode();
                self.head(&in_tree(&place), Shape::Folder, mode, 0, meta.modified)?;
            }
        }
        self.folders.push((place, meta));
        self.members += 1;
        Ok(Outcome::Sent)
    }

    fn is_part(&self) -> bool {
        matches!(self.shard.extent, Extent::Part { .. } | Extent::Folders)
    }

    fn link(&mut self, place: &MemberPath, meta: &Meta, text: &[u8]) -> Result<Outcome, Stop> {
        self.head(&in_tree(place), Shape::Link(text), 0o777, 0, meta.modified)?;
        self.members += 1;
        Ok(Outcome::Sent)
    }

    fn file(
        &mut self,
        index: usize,
        place: &MemberPath,
        mut file: File,
        shown: &PathBuf,
    ) -> Result<Outcome, Stop> {
        let failed = |error| Stop::Failed(Error::local("read", shown, error));
        let meta = Folder::file_meta(&file).map_err(failed)?;
        if meta.kind != Kind::File {
            return Ok(Outcome::Special);
        }
        let mode = self.local_modes().of_file(meta.mode, &file);
        let mode = mode.map_err(failed)?;
        let meta = Meta { mode, ..meta };
        let name = in_tree(place);
        self.members += 1;
        self.ledger.stamp(index, meta.size, meta.modified);
        if meta.links > 1 {
            if let Some((first, first_index)) = self.seen.get(&meta.identity) {
                let (first, first_index) = (first.clone(), *first_index);
                self.ledger.links.insert(index, first_index);
                self.head(&name, Shape::HardLink(&first), meta.mode, 0, meta.modified)?;
                return Ok(Outcome::Sent);
            }
            self.seen.insert(meta.identity, (name.clone(), index));
        }
        let whole = self
            .content(&name, &meta, &mut file)
            .map_err(|stop| match stop {
                Reading::From(error) => failed(error),
                Reading::Into(error) => Stop::Closed(error),
            })?;
        self.ledger.bytes += meta.size;
        let now = Folder::file_meta(&file).map_err(failed)?;
        let still =
            (now.size, now.modified, now.changed) == (meta.size, meta.modified, meta.changed);
        Ok(if whole && still {
            Outcome::Sent
        } else {
            Outcome::Changed
        })
    }

    /// Writes a file with its header; says whether its content was all there.
    fn content(&mut self, name: &[u8], meta: &Meta, file: &mut File) -> Result<bool, Reading> {
        let head = Head {
            name,
            shape: Shape::File,
            mode: meta.mode,
            size: meta.size,
            modified: meta.modified,
        };
        let sparse = self.shard.dialect == TarDialect::Gnu && meta.allocated < meta.size;
        let parts = if sparse {
            holes::parts(file, meta.size).map_err(Reading::From)?
        } else {
            Vec::new()
        };
        if !sparse || parts == [(0, meta.size)] {
            head.write(self.out, self.shard.dialect)
                .map_err(Reading::Into)?;
            file.seek(SeekFrom::Start(0)).map_err(Reading::From)?;
            let whole = self.data(file, meta.size)?;
            header::pad(self.out, meta.size).map_err(Reading::Into)?;
            return Ok(whole);
        }
        let map = holes::map(&parts, meta.size);
        let data: u64 = parts.iter().map(|(_, length)| length).sum();
        let size = map.len() as u64 + data;
        Head { size, ..head }
            .write_sparse(self.out, meta.size)
            .map_err(Reading::Into)?;
        self.out.write_all(&map).map_err(Reading::Into)?;
        let mut whole = true;
        for (start, length) in parts {
            file.seek(SeekFrom::Start(start)).map_err(Reading::From)?;
            whole &= self.data(file, length)?;
        }
        header::pad(self.out, size).map_err(Reading::Into)?;
        self.progress.advance(meta.size - data);
        Ok(whole)
    }

    /// Copies exactly `size` bytes, with zeros for what is no longer there; says whether it was all there.
    fn data(&mut self, file: &mut File, size: u64) -> Result<bool, Reading> {
        let mut left = size;
        let mut whole = true;
        while left > 0 {
            let room = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
            let got = if whole {
                match file.read(&mut self.buffer[..room]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    answer => answer.map_err(Reading::From)?,
                }
            } else {
                0
            };
            let got = if got == 0 {
                whole = false;
                self.buffer[..room].fill(0);
                room
            } else {
                got
            };
            self.out
                .write_all(&self.buffer[..got])
                .map_err(Reading::Into)?;
            self.progress.advance(got as u64);
            left -= got as u64;
        }
        Ok(whole)
    }

    /// What stands beside the copy: modes and times of folders, what is to be removed again, and the marker that only a whole archive has.
    fn close(&mut self) -> Result<(), Stop> {
        let dialect = self.shard.dialect;
        let folders = std::mem::take(&mut self.folders);
        let settles = matches!(self.shard.extent, Extent::Whole | Extent::Folders);
        if let Extent::Part { shared, .. } = &self.shard.extent
            && !shared.is_empty()
        {
            self.emptying_during(b"shared.sh", |out| trailer::shared(shared, out))?;
        }
        if settles && !folders.is_empty() {
            self.emptying_during(b"folders.tar", |out| {
                trailer::folders(&folders, dialect, out)
            })?;
            if self.local_modes() == LocalModes::Unknown {
                self.emptying_during(b"folders.sh", |out| trailer::listed(&folders, out))?;
            } else if dialect == TarDialect::Plain {
                self.emptying_during(b"modes.sh", |out| trailer::modes(&folders, out))?;
            }
        }
        if !self.ledger.gone.is_empty() {
            let tree = self.shard.tree;
            let gone: Vec<_> = self
                .ledger
                .gone
                .iter()
                .map(|&index| tree.place(&tree.entries[index]))
                .collect();
            self.emptying_during(b"gone.sh", |out| trailer::removals(&gone, out))?;
        }
        let members = self.members;
        self.emptying_during(self.shard.marker.as_bytes(), |out| {
            writeln!(out, "{members}")
        })?;
        header::end(self.out)?;
        Ok(())
    }

    /// Writes a member beside the copy; its content is made twice, first to learn its size.
    fn emptying_during(
        &mut self,
        name: &[u8],
        content: impl Fn(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let mut counter = Counter(0);
        content(&mut counter)?;
        self.head(name, Shape::File, 0o600, counter.0, Mtime::default())?;
        content(self.out)?;
        header::pad(self.out, counter.0)?;
        Ok(())
    }

    fn head(
        &mut self,
        name: &[u8],
        shape: Shape<'_>,
        mode: u32,
        size: u64,
        modified: Mtime,
    ) -> io::Result<()> {
        Head {
            name,
            shape,
            mode,
            size,
            modified,
        }
        .write(self.out, self.shard.dialect)
    }
}

enum Reading {
    From(io::Error),
    Into(io::Error),
}

fn in_tree(place: &MemberPath) -> Vec<u8> {
    [TREE, b"/", place.as_bytes()].concat()
}
