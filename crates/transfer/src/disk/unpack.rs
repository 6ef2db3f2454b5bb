//! Unpacking a VM's archive into a fresh private folder, every step on held folders.
//!
//! Symbolic links are made after everything else, so that while files are written there is none to follow. Runs of zeros become holes:
//! neither BusyBox tar nor plain archives can say where holes were, and zeros read the same.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::folder::{Folder, FolderStack, refuses_links};
use crate::disk::local_names::LocalNames;
use crate::error::Error;
use crate::format::archive::{Archive, Content, Fault, Member};
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::path_bytes;
use crate::progress::Progress;
use crate::summary::{SkipReason, Skipped};

const CHUNK: usize = 128 * 1024;
/// Content is looked at for zeros in pieces of at most this many bytes; what comes in smaller than a block is written out.
const SMALLEST_HOLE: usize = 64 * 1024;
const BLOCK: usize = 4096;

/// What the VM announced; more is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) members: u64,
    pub(crate) bytes: u64,
}

/// What was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) members: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Modes and times for when everything is in place.
    pub(crate) folders: Vec<(MemberPath, u32, Mtime)>,
    pub(crate) special: Vec<PathBuf>,
    /// What could not be made on this machine, for want of a name or a right.
    pub(crate) left_out: Vec<Skipped>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Folder,
    File,
    Link,
    Special,
}

/// Reads the archive to its very end into `into`, which is empty.
pub(crate) fn unpack(
    from: impl Read,
    into: Arc<Folder>,
    limits: Limits,
    names: &LocalNames,
    progress: &dyn Progress,
) -> Result<Unpacked, Fault> {
    let mut archive = Archive::new(from);
    let mut unpacker = Unpacker {
        descent: FolderStack::new(into.clone()),
        other: FolderStack::new(into),
        limits,
        names,
        progress,
        seen: HashMap::from([(MemberPath::default(), Seen::Folder)]),
        links: Vec::new(),
        hard_links: Vec::new(),
        done: Unpacked::default(),
        buffer: vec![0; CHUNK],
    };
    while let Some(member) = archive.next()? {
        if archive.members() > limits.members {
            return Err(
                refuse(&member.path, "there are more members than the VM announced").into(),
            );
        }
        progress.file(&path_bytes::shown(member.path.as_bytes()));
        unpacker.member(member, &mut archive)?;
    }
    unpacker.done.members = archive.finish()?;
    unpacker.make_links()?;
    Ok(unpacker.done)
}

struct Unpacker<'a> {
    descent: FolderStack,
    /// A second way down, for the far end of a hard link.
    other: FolderStack,
    limits: Limits,
    names: &'a LocalNames,
    progress: &'a dyn Progress,
    seen: HashMap<MemberPath, Seen>,
    links: Vec<(MemberPath, Vec<u8>, Mtime)>,
    hard_links: Vec<(MemberPath, MemberPath)>,
    done: Unpacked,
    buffer: Vec<u8>,
}

impl Unpacker<'_> {
    fn member<R: Read>(&mut self, member: Member, archive: &mut Archive<R>) -> Result<(), Fault> {
        let kind = match &member.content {
            Content::Folder => Seen::Folder,
            Content::File { .. } => Seen::File,
            Content::Link { .. } => Seen::Link,
            Content::Special => Seen::Special,
            Content::HardLink { to } => match self.seen.get(to) {
                Some(&kind) if kind != Seen::Folder => kind,
                _ => {
                    return Err(refuse(
                        &member.path,
                        "it is another name of a file that is not in the archive",
                    )
                    .into());
                }
            },
        };
        let is_possible = self.names.admit(&member.path)?;
        if let Some((parent, _)) = member.path.split() {
            if is_possible {
                self.ensure_folder(&parent)?;
            }
        } else if kind != Seen::Folder {
            return Err(refuse(&member.path, "it stands where the folder itself should").into());
        }
        match self.seen.get(&member.path) {
            Some(Seen::Folder) if kind == Seen::Folder => {}
            Some(_) => return Err(refuse(&member.path, "it is there twice").into()),
            None if kind != Seen::Folder => drop(self.seen.insert(member.path.clone(), kind)),
            None => {}
        }
        if !is_possible {
            return Ok(());
        }
        match member.content {
            Content::Folder => {
                self.ensure_folder(&member.path)?;
                self.done
                    .folders
                    .push((member.path, member.mode, member.modified));
            }
            Content::File { size } => self.file(&member, size, archive)?,
            Content::Link { text } => self.links.push((member.path, text, member.modified)),
            Content::HardLink { to } if kind != Seen::Special => {
                self.hard_links.push((member.path, to));
            }
            Content::HardLink { .. } | Content::Special => {
                self.done
                    .special
                    .push(path_bytes::shown(member.path.as_bytes()));
            }
        }
        Ok(())
    }

    /// Makes a folder and those above it, unless they are there.
    fn ensure_folder(&mut self, path: &MemberPath) -> Result<(), Error> {
        match self.seen.get(path) {
            Some(Seen::Folder) => return Ok(()),
            Some(_) => return Err(refuse(path, "it is a folder and something else")),
            None => {}
        }
        if let Some((parent, own)) = path.split() {
            self.ensure_folder(&parent)?;
            let own = system_name(path, own)?;
            let folder = self
                .descent
                .to(&parent)
                .map_err(|error| local("make the folder", path, error))?;
            folder
                .create_folder(&own)
                .map_err(|error| local("make the folder", path, error))?;
        }
        self.seen.insert(path.clone(), Seen::Folder);
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        member: &Member,
        size: u64,
        archive: &mut Archive<R>,
    ) -> Result<(), Fault> {
        if size > self.limits.bytes.saturating_sub(self.done.bytes) {
            return Err(refuse(&member.path, "there are more bytes than the VM announced").into());
        }
        let Some((parent, own)) = member.path.split() else {
            return Ok(());
        };
        let own = system_name(&member.path, own)?;
        let failed = |error| local("write", &member.path, error);
        let mut file = self
            .descent
            .to(&parent)
            .and_then(|folder| folder.create_file(&own))
            .map_err(failed)?;
        loop {
            let got = archive.read(&mut self.buffer)?;
            if got == 0 {
                break;
            }
            write_with_holes(&mut file, &self.buffer[..got]).map_err(failed)?;
            self.progress.advance(got as u64);
        }
        file.set_len(size).map_err(failed)?;
        Folder::settle_file(&file, member.mode, member.modified).map_err(failed)?;
        self.done.bytes += size;
        self.done.files += 1;
        Ok(())
    }

    fn make_links(&mut self) -> Result<(), Error> {
        for (path, text, modified) in std::mem::take(&mut self.links) {
            let Some((parent, own)) = path.split() else {
                continue;
            };
            let (own, text) = (system_name(&path, own)?, link_text(&path, &text)?);
            let failed = |error| local("make the link", &path, error);
            let folder = self.descent.to(&parent).map_err(failed)?;
            match folder.create_link(&own, &text) {
                Err(error) if refuses_links(&error) => {
                    self.names.leave_out(&path, SkipReason::Link);
                    continue;
                }
                made => made.map_err(failed)?,
            }
            folder.settle_link(&own, modified).map_err(failed)?;
            self.done.files += 1;
        }
        for (path, to) in std::mem::take(&mut self.hard_links) {
            let (Some((parent, own)), Some((to_parent, to_own))) = (path.split(), to.split())
            else {
                continue;
            };
            if !self.names.admit(&to)? {
                self.names.leave_out(&path, SkipReason::Name);
                continue;
            }
            let (own, to_own) = (system_name(&path, own)?, system_name(&to, to_own)?);
            let failed = |error| local("make the link", &path, error);
            let from = self.other.to(&to_parent).map_err(failed)?;
            self.descent
                .to(&parent)
                .and_then(|folder| folder.create_hard_link(&own, from, &to_own))
                .map_err(failed)?;
            self.done.files += 1;
        }
        Ok(())
    }
}

/// Writes the bytes, or moves on over them if they are a long run of zeros.
pub(crate) fn write_with_holes(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    for piece in bytes.chunks(SMALLEST_HOLE) {
        if piece.len() >= BLOCK && piece.iter().all(|&byte| byte == 0) {
            file.seek(SeekFrom::Current(piece.len() as i64))?;
        } else {
            file.write_all(piece)?;
        }
    }
    Ok(())
}

fn system_name(path: &MemberPath, own: &[u8]) -> Result<std::ffi::OsString, Error> {
    path_bytes::from_bytes(own).ok_or_else(|| Error::Refused {
        path: path.to_string(),
        reason: "no file on this machine can have this name".to_owned(),
    })
}

#[cfg(unix)]
fn link_text(path: &MemberPath, text: &[u8]) -> Result<std::ffi::OsString, Error> {
    system_name(path, text)
}

#[cfg(not(unix))]
fn link_text(path: &MemberPath, text: &[u8]) -> Result<std::ffi::OsString, Error> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.into()),
        Err(_) => system_name(path, text),
    }
}

fn refuse(path: &MemberPath, reason: &str) -> Error {
    Error::integrity(
        path.to_string(),
        format!("the archive is refused: {reason}"),
    )
}

fn local(action: &'static str, path: &MemberPath, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull
        || error.kind() == std::io::ErrorKind::QuotaExceeded
    {
        return Error::NoSpace {
            place: path.to_string(),
            detail: error.to_string(),
        };
    }
    Error::local(action, path_bytes::shown(path.as_bytes()), error)
}
