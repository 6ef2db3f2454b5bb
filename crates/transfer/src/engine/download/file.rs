//! One file out of a VM: inside one command when it is small, else by a staging object.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::large_file::LargeFile;
use super::plan::ranges;
use super::resumed::Resumed;
use super::transport::{ArchiveKind, Transport};
use super::{Download, changed, check_space, own_name};
use crate::blocking;
use crate::disk::install::FileInstall;
use crate::disk::unpack::write_with_holes;
use crate::engine::receive::{Input, receive};
use crate::engine::request::RemotePath;
use crate::engine::shards::{Limiter, is_large};
use crate::error::Error;
use crate::format::archive::Fault;
use crate::format::checksum::Checksum;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::guest_path;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Found, Inline, Status, Tools};
use crate::progress::Progress;
use crate::resume::journal::PartialFile;
use crate::summary::Summary;
use crate::{READINGS, SMALL};

const CHUNK: usize = 128 * 1024;
/// What a file may be larger than announced when it says it is empty, as those of `/proc` do.
const UNSIZED: u64 = 64 * 1024 * 1024;

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    pub(super) async fn small_file(
        &self,
        source: &RemotePath,
        mut small: Inline,
        target: &Path,
        into: bool,
    ) -> Result<Summary, Error> {
        let name = own_name(&source.path);
        for reading in 1..=READINGS {
            if let Some(bytes) = whole(&small, &source.path)? {
                let size = bytes.len() as u64;
                self.progress.total(Some(size), Some(1));
                let install = self.install(name, target, into).await?;
                let status = small.before;
                blocking(move || {
                    let mut file = install.create()?;
                    std::io::Write::write_all(&mut file, &bytes)
                        .map_err(|error| write_failed(install.target(), error))?;
                    install.place(&file, status.mode, Some(status.modified))
                })
                .await?;
                self.progress.advance(size);
                return Ok(Summary {
                    files: 1,
                    bytes: size,
                    wire_bytes: size,
                    ..Summary::default()
                });
            }
            if reading == READINGS {
                break;
            }
            match script::read_small(self.guest, &source.path, SMALL, None).await? {
                Found::Inline(again) => small = again,
                Found::File {
                    path,
                    status,
                    tools,
                } => return self.file(&path, status, &tools, target, into).await,
                _ => break,
            }
        }
        Err(changed(&source.path))
    }

    pub(super) async fn file(
        &self,
        path: &str,
        status: Status,
        tools: &Tools,
        target: &Path,
        into: bool,
    ) -> Result<Summary, Error> {
        let size = status.size;
        self.progress.total((size > 0).then_some(size), Some(1));
        let (place, stamp) = (own_place(path), (size, status.modified));
        let at = goal(own_name(path), target.to_owned(), into)?;
        if size > 0 && self.is_there(&place, (stamp, status.mode), at).await? {
            self.progress.advance(size);
            return Ok(Summary {
                continued: 1,
                continued_bytes: size,
                ..Summary::default()
            });
        }
        self.bring((path, tools), (&place, stamp), target, into)
            .await
    }

    async fn bring(
        &self,
        (path, tools): (&str, &Tools),
        (place, stamp): (&MemberPath, (u64, Mtime)),
        target: &Path,
        into: bool,
    ) -> Result<Summary, Error> {
        let codec = tools.codec(self.settings.compression)?;
        let mut size = stamp.0;
        let parts =
            is_large(size, self.settings.shards.first) && tools.has("curl") && tools.has("dd");
        for reading in 0..READINGS {
            if parts {
                let begun = self.begun(place, stamp).filter(|_| reading == 0);
                let about = ((path, tools), place, size);
                let (install, large) = self.begin(about, begun, target, into).await?;
                let brought = self.in_parts(path, tools, (&large, place), install);
                if let Some(summary) = brought.await? {
                    return Ok(summary);
                }
                size = large.again().size;
                self.progress
                    .warn(format!("{path} changed while being read; it is sent again"));
                continue;
            }
            let take = async |transport: &Transport| {
                let install = self.install(own_name(path), target, into).await?;
                self.file_once(path, transport, install).await
            };
            if let Some(summary) = self
                .take_object((tools, codec), ArchiveKind::File, take)
                .await?
            {
                return Ok(summary);
            }
            self.progress
                .warn(format!("{path} changed while being read; it is sent again"));
        }
        Err(changed(path))
    }

    /// One reading of the file; `None` if it changed meanwhile.
    async fn file_once(
        &self,
        path: &str,
        transport: &Transport,
        install: FileInstall,
    ) -> Result<Option<Summary>, Error> {
        let (before, after, made) =
            script::send_file(self.guest, path, transport.codec, &transport.way).await?;
        if before != after {
            return Ok(None);
        }
        check_space(install.free_bytes(), before.size, install.target())?;
        let progress = self.progress.clone();
        let limit = if before.size == 0 {
            UNSIZED
        } else {
            before.size
        };
        let write = move |input: Input| {
            let mut file = install.create()?;
            let size = write(input, &mut file, &install, limit, &*progress)?;
            Ok((file, install, size))
        };
        let ready = transport.ready(&made, path)?;
        let ((file, install, size), wire_bytes) =
            receive(self.guest, self.store, ready, write).await?;
        check_size(path, before, size)?;
        blocking(move || install.place(&file, before.mode, Some(before.modified))).await?;
        if before.size > 0 {
            self.note_file(&own_place(path), (size, before.modified));
        }
        Ok(Some(Summary {
            files: 1,
            bytes: size,
            wire_bytes,
            ..Summary::default()
        }))
    }

    /// Makes room for a file in parts, with what an earlier try brought of it.
    async fn begin(
        &self,
        (source, place, size): ((&str, &Tools), &MemberPath, u64),
        begun: Option<PartialFile>,
        target: &Path,
        into: bool,
    ) -> Result<(FileInstall, LargeFile), Error> {
        let temp = begun.as_ref().map(|begun| begun.temp.clone());
        let name = own_name(source.0);
        let (install, file) = self.install_after(temp, name, target, into).await?;
        let temp = install.temp();
        let earlier = match file.zip(begun) {
            Some(taken) => Some(self.keep(source, (place, &temp), taken).await?),
            None => None,
        };
        Ok((install, LargeFile::new(0, Vec::new(), size).after(earlier)))
    }

    /// One reading of a file, several parts at once; `None` if it changed meanwhile.
    async fn in_parts(
        &self,
        path: &str,
        tools: &Tools,
        (large, place): (&LargeFile, &MemberPath),
        install: FileInstall,
    ) -> Result<Option<Summary>, Error> {
        let codec = tools.codec(self.settings.compression)?;
        let continued = large.earlier.as_ref().map_or(0, Resumed::bytes);
        let needed = large.size - continued;
        check_space(install.free_bytes(), needed, install.target())?;
        let limiter = Limiter::new(self.settings.shards);
        let file = large.file(|| install.create())?;
        let temp = &install.temp();
        let mut waiting = ranges(large.there(), large.size, limiter.parts(u64::MAX)).into_iter();
        let mut in_flight = FuturesUnordered::new();
        let mut wire_bytes = 0;
        loop {
            while in_flight.len() < limiter.most_tasks() {
                let Some(range) = waiting.next() else { break };
                let (bytes, file, limiter) = (range.end - range.start, file.clone(), &limiter);
                in_flight.push(async move {
                    let about = (path, tools, codec);
                    let wire = self
                        .part(about, limiter, (large, range.clone()), file)
                        .await?;
                    limiter.record(bytes);
                    Ok::<_, Error>((wire, range))
                });
            }
            let Some(files_installed) = in_flight.next().await else {
                break;
            };
            let (wire, part) = files_installed?;
            wire_bytes += wire;
            self.note_part(place, large.stamp(), temp, &part);
        }
        let Some(status) = large.final_status() else {
            return Ok(None);
        };
        let size = large.size;
        blocking(move || {
            file.set_len(size)
                .map_err(|error| write_failed(install.target(), error))?;
            install.place(&file, status.mode, Some(status.modified))
        })
        .await?;
        self.note_file(place, (size, status.modified));
        Ok(Some(Summary {
            files: 1,
            bytes: size,
            wire_bytes,
            continued_bytes: continued,
            ..Summary::default()
        }))
    }

    async fn install(
        &self,
        name: Result<OsString, Error>,
        target: &Path,
        into: bool,
    ) -> Result<FileInstall, Error> {
        let (install, _) = self.install_after(None, name, target, into).await?;
        Ok(install)
    }

    /// Makes room for a file; takes over what an earlier try was writing, by its name in the journal.
    async fn install_after(
        &self,
        earlier: Option<String>,
        name: Result<OsString, Error>,
        target: &Path,
        into: bool,
    ) -> Result<(FileInstall, Option<File>), Error> {
        let (target, nonce) = (target.to_owned(), self.nonce.clone());
        let spared = self.earlier().spared;
        blocking(move || {
            let target = goal(name, target, into)?;
            FileInstall::prepare(target, &nonce, (earlier.as_deref(), &spared))
        })
        .await
    }
}

/// Where a file goes: onto a folder it goes into it; only there a name is needed.
fn goal(name: Result<OsString, Error>, target: PathBuf, into: bool) -> Result<PathBuf, Error> {
    if into || target.is_dir() {
        Ok(target.join(name?))
    } else {
        Ok(target)
    }
}

/// What a file that comes alone is called in a journal.
fn own_place(path: &str) -> MemberPath {
    let own = path.rsplit('/').next().unwrap_or_default();
    MemberPath::parse(&guest_path::bytes(own)).unwrap_or_default()
}

/// The content of a small file, if it held still.
pub(super) fn whole(small: &Inline, path: &str) -> Result<Option<Vec<u8>>, Error> {
    if small.before != small.after || small.bytes.len() as u64 != small.before.size {
        return Ok(None);
    }
    match small.sum {
        Some(sum) if sum != Checksum::of(&small.bytes) => {
            Err(Error::integrity(path, "its checksum differs"))
        }
        _ => Ok(Some(small.bytes.clone())),
    }
}

/// Files that say they are empty, as those of `/proc` do, may have any size.
pub(super) fn check_size(path: &str, status: Status, size: u64) -> Result<(), Error> {
    if status.size != 0 && size != status.size {
        return Err(Error::integrity(
            path,
            format!("{size} bytes arrived instead of {}", status.size),
        ));
    }
    Ok(())
}

fn write(
    mut input: Input,
    file: &mut File,
    install: &FileInstall,
    limit: u64,
    progress: &dyn Progress,
) -> Result<u64, Fault> {
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let got = match input.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            got => got?,
        };
        size += got as u64;
        if size > limit {
            return Err(Error::integrity(
                install.target().display().to_string(),
                "more bytes arrived than the VM announced",
            )
            .into());
        }
        write_with_holes(file, &buffer[..got])
            .map_err(|error| write_failed(install.target(), error))?;
        progress.advance(got as u64);
    }
    file.set_len(size)
        .map_err(|error| write_failed(install.target(), error))?;
    Ok(size)
}

pub(super) fn write_failed(target: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::NoSpace {
            place: target.display().to_string(),
            detail: error.to_string(),
        },
        _ => Error::local("write", target, error),
    }
}
