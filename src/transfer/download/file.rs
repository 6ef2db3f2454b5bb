//! One file out of a VM: inside one command when it is small, else by a staging object.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::large_file::Big;
use super::transport::{Delivery, Holds};
use super::resumed::Earlier;
use super::plan::ranges;
use super::{Job, blocking, changed, check_space, own_name};
use crate::transfer::archive::Fault;
use crate::transfer::checksum::Checksum;
use crate::transfer::error::Error;
use crate::transfer::guest_path;
use crate::transfer::journal::Begun;
use crate::transfer::install::FileLanding;
use crate::transfer::member_path::MemberPath;
use crate::transfer::mtime::Moment;
use crate::transfer::progress::Progress;
use crate::transfer::receive::{Input, receive};
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::request::RemotePath;
use crate::transfer::script::{self, Found, Inline, Status, Tools};
use crate::transfer::shards::{Gauge, is_big};
use crate::transfer::summary::Summary;
use crate::transfer::unpack::write_with_holes;
use crate::transfer::{READINGS, SMALL};

const PIECE: usize = 128 * 1024;
/// What a file may be larger than announced when it says it is empty, as those of `/proc` do.
const UNSIZED: u64 = 64 * 1024 * 1024;

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
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
                let landing = self.landing(name, target, into).await?;
                let status = small.before;
                blocking(move || {
                    let mut file = landing.create()?;
                    std::io::Write::write_all(&mut file, &bytes)
                        .map_err(|error| write_failed(landing.target(), error))?;
                    landing.place(&file, status.mode, Some(status.modified))
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
            match script::get(self.guest, &source.path, SMALL, None).await? {
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
        (place, stamp): (&MemberPath, (u64, Moment)),
        target: &Path,
        into: bool,
    ) -> Result<Summary, Error> {
        let codec = tools.codec(self.settings.compression)?;
        let mut size = stamp.0;
        let parts =
            is_big(size, self.settings.shards.first) && tools.has("curl") && tools.has("dd");
        for reading in 0..READINGS {
            if parts {
                let begun = self.begun(place, stamp).filter(|_| reading == 0);
                let about = ((path, tools), place, size);
                let (landing, big) = self.begin(about, begun, target, into).await?;
                let brought = self.in_parts(path, tools, (&big, place), landing);
                if let Some(summary) = brought.await? {
                    return Ok(summary);
                }
                size = big.again().size;
                self.progress
                    .warn(format!("{path} changed while being read; it is sent again"));
                continue;
            }
            let take = async |delivery: &Delivery| {
                let landing = self.landing(own_name(path), target, into).await?;
                self.file_once(path, delivery, landing).await
            };
            if let Some(summary) = self.delivered((tools, codec), Holds::File, take).await? {
                return Ok(summary);
            }
            self.progress
                .warn(format!("{path} changed while being read; it is sent again"));
        }
        Err(changed(path))
    }

    /// One reading of the file; nothing if it did not hold still.
    async fn file_once(
        &self,
        path: &str,
        delivery: &Delivery,
        landing: FileLanding,
    ) -> Result<Option<Summary>, Error> {
        let (before, after, made) =
            script::send_file(self.guest, path, delivery.codec, &delivery.way).await?;
        if before != after {
            return Ok(None);
        }
        check_space(landing.free_bytes(), before.size, landing.target())?;
        let progress = self.progress.clone();
        let limit = if before.size == 0 {
            UNSIZED
        } else {
            before.size
        };
        let write = move |input: Input| {
            let mut file = landing.create()?;
            let size = write(input, &mut file, &landing, limit, &*progress)?;
            Ok((file, landing, size))
        };
        let ready = delivery.ready(&made, path)?;
        let ((file, landing, size), wire_bytes) =
            receive(self.guest, self.store, ready, write).await?;
        check_size(path, before, size)?;
        blocking(move || landing.place(&file, before.mode, Some(before.modified))).await?;
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
        begun: Option<Begun>,
        target: &Path,
        into: bool,
    ) -> Result<(FileLanding, Big), Error> {
        let temp = begun.as_ref().map(|begun| begun.temp.clone());
        let name = own_name(source.0);
        let (landing, file) = self.landing_after(temp, name, target, into).await?;
        let temp = landing.temp();
        let earlier = match file.zip(begun) {
            Some(taken) => Some(self.keep(source, (place, &temp), taken).await?),
            None => None,
        };
        Ok((landing, Big::new(0, Vec::new(), size).after(earlier)))
    }

    /// One reading of a file, several parts at once; nothing if it did not hold still.
    async fn in_parts(
        &self,
        path: &str,
        tools: &Tools,
        (big, place): (&Big, &MemberPath),
        landing: FileLanding,
    ) -> Result<Option<Summary>, Error> {
        let codec = tools.codec(self.settings.compression)?;
        let continued = big.earlier.as_ref().map_or(0, Earlier::bytes);
        let needed = big.size - continued;
        check_space(landing.free_bytes(), needed, landing.target())?;
        let gauge = Gauge::new(self.settings.shards);
        let file = big.file(|| landing.create())?;
        let temp = &landing.temp();
        let mut waiting = ranges(big.there(), big.size, gauge.parts(u64::MAX)).into_iter();
        let mut flying = FuturesUnordered::new();
        let mut wire_bytes = 0;
        loop {
            while flying.len() < gauge.at_work() {
                let Some(range) = waiting.next() else { break };
                let (bytes, file, gauge) = (range.end - range.start, file.clone(), &gauge);
                flying.push(async move {
                    let about = (path, tools, codec);
                    let wire = self.part(about, gauge, (big, range.clone()), file).await?;
                    gauge.landed(bytes);
                    Ok::<_, Error>((wire, range))
                });
            }
            let Some(landed) = flying.next().await else {
                break;
            };
            let (wire, part) = landed?;
            wire_bytes += wire;
            self.note_part(place, big.stamp(), temp, &part);
        }
        let Some(status) = big.settled() else {
            return Ok(None);
        };
        let size = big.size;
        blocking(move || {
            file.set_len(size)
                .map_err(|error| write_failed(landing.target(), error))?;
            landing.place(&file, status.mode, Some(status.modified))
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

    async fn landing(
        &self,
        name: Result<OsString, Error>,
        target: &Path,
        into: bool,
    ) -> Result<FileLanding, Error> {
        let (landing, _) = self.landing_after(None, name, target, into).await?;
        Ok(landing)
    }

    /// Makes room for a file; takes over what an earlier try was writing, by its name in the journal.
    async fn landing_after(
        &self,
        earlier: Option<String>,
        name: Result<OsString, Error>,
        target: &Path,
        into: bool,
    ) -> Result<(FileLanding, Option<File>), Error> {
        let (target, nonce) = (target.to_owned(), self.nonce.clone());
        let spared = self.earlier().spared;
        blocking(move || {
            let target = goal(name, target, into)?;
            FileLanding::prepare(target, &nonce, (earlier.as_deref(), &spared))
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
    landing: &FileLanding,
    limit: u64,
    progress: &dyn Progress,
) -> Result<u64, Fault> {
    let mut buffer = vec![0; PIECE];
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
                landing.target().display().to_string(),
                "more bytes arrived than the VM announced",
            )
            .into());
        }
        write_with_holes(file, &buffer[..got])
            .map_err(|error| write_failed(landing.target(), error))?;
        progress.advance(got as u64);
    }
    file.set_len(size)
        .map_err(|error| write_failed(landing.target(), error))?;
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
