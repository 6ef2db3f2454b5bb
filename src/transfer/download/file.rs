//! One file out of a VM: inside one command when it is small, else by a staging object.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Job, blocking, changed, check_space, own_name};
use crate::transfer::archive::Fault;
use crate::transfer::checksum::Checksum;
use crate::transfer::error::Error;
use crate::transfer::landing::FileLanding;
use crate::transfer::progress::Progress;
use crate::transfer::receive::{Input, receive};
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::request::RemotePath;
use crate::transfer::script::{self, Found, Inline, Status, Tools};
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
            match script::get(self.guest, &source.path, SMALL).await? {
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
        tools.need(&["curl"])?;
        let codec = tools.codec(self.settings.compression)?;
        self.progress
            .total((status.size > 0).then_some(status.size), Some(1));
        let mut wire = 0;
        for _ in 0..READINGS {
            let landing = self.landing(own_name(path), target, into).await?;
            let object = self.store.presign(&self.object_name()).await?;
            let (before, after, sum) =
                script::send_file(self.guest, path, codec, &object.upload).await?;
            if before != after {
                self.progress
                    .warn(format!("{path} changed while being read; it is sent again"));
                continue;
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
                let got = write(input, &mut file, &landing, limit, &*progress)?;
                Ok((file, landing, got))
            };
            let ((file, landing, (size, got_sum)), bytes) =
                receive(self.store, &object.download, codec, path, write).await?;
            wire += bytes;
            if before.size != 0 && size != before.size {
                return Err(Error::integrity(
                    path,
                    format!("{size} bytes arrived instead of {}", before.size),
                ));
            }
            if sum.is_some_and(|sum| sum != got_sum) {
                return Err(Error::integrity(path, "its checksum differs"));
            }
            blocking(move || landing.place(&file, before.mode, Some(before.modified))).await?;
            return Ok(Summary {
                files: 1,
                bytes: size,
                wire_bytes: wire,
                ..Summary::default()
            });
        }
        Err(changed(path))
    }

    async fn landing(
        &self,
        name: Result<std::ffi::OsString, Error>,
        target: &Path,
        into: bool,
    ) -> Result<FileLanding, Error> {
        let (target, nonce) = (target.to_owned(), self.nonce.clone());
        blocking(move || {
            // A name is needed only in a folder.
            let name = match name {
                Err(error) if into || target.is_dir() => return Err(error),
                name => name.unwrap_or_default(),
            };
            FileLanding::prepare(&target, into, &name, &nonce)
        })
        .await
    }
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

fn write(
    mut input: Input,
    file: &mut File,
    landing: &FileLanding,
    limit: u64,
    progress: &dyn Progress,
) -> Result<(u64, u32), Fault> {
    let mut buffer = vec![0; PIECE];
    let mut size = 0;
    let mut sum = Checksum::default();
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
        sum.update(&buffer[..got]);
        write_with_holes(file, &buffer[..got])
            .map_err(|error| write_failed(landing.target(), error))?;
        progress.advance(got as u64);
    }
    file.set_len(size)
        .map_err(|error| write_failed(landing.target(), error))?;
    Ok((size, sum.finish()))
}

fn write_failed(target: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::NoSpace {
            place: target.display().to_string(),
            detail: error.to_string(),
        },
        _ => Error::local("write", target, error),
    }
}
