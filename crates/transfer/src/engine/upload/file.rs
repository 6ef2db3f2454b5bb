//! One file into a VM: inside one command when it is small, else by a staging object.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::large_file::LargeFile;
use super::parts::Route;
use super::{Upload, parent_of, stage};
use crate::disk::folder::{Folder, Kind, Meta};
use crate::disk::pack::{Stop, trailer};
use crate::engine::request::RemotePath;
use crate::engine::send::{Output, send};
use crate::engine::shards::is_large;
use crate::error::Error;
use crate::format::checksum::Checksum;
use crate::format::codec::Codec;
use crate::format::member_path::MemberPath;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, FileMode, Object, Place, PutFile};
use crate::progress::{Progress, RetryProgress};
use crate::summary::Summary;
use crate::{READINGS, SMALL, nonce};

const CHUNK: usize = 128 * 1024;

fn not_regular(path: &Path) -> Error {
    Error::Refused {
        path: path.display().to_string(),
        reason: "not a regular file; to send its output, pipe it to '-'".to_owned(),
    }
}

/// An opened source file.
pub(super) struct Opened {
    path: PathBuf,
    /// Its name in the VM if it goes into a folder.
    name: String,
    file: File,
    meta: Meta,
}

impl Opened {
    /// Opens a regular file. Nothing is answered for what goes the way of trees: folders, and names that a command line can't hold.
    pub(super) fn open(path: &Path, into: bool) -> Result<Option<Self>, Error> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => Error::LocalMissing(path.to_owned()),
            ErrorKind::PermissionDenied => Error::Unreadable(vec![path.to_owned()]),
            _ => Error::local("open", path, error),
        };
        let full = fs::canonicalize(path).map_err(failed)?;
        let kind = fs::metadata(&full).map_err(failed)?;
        if kind.is_dir() {
            return Ok(None);
        }
        if !kind.is_file() {
            return Err(not_regular(path));
        }
        if path.file_name().and_then(|name| name.to_str()).is_none() && into {
            return Ok(None);
        }
        let (folder, entry) = Folder::open_parent(&full).map_err(failed)?;
        let file = folder.open_file(&entry).map_err(failed)?;
        let meta = Folder::file_meta(&file).map_err(failed)?;
        Self::of(file, meta, path.to_owned()).map(Some)
    }

    /// A file that is open. One that is not regular is refused.
    pub(super) fn of(file: File, meta: Meta, path: PathBuf) -> Result<Self, Error> {
        if meta.kind != Kind::File {
            return Err(not_regular(&path));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        Ok(Self {
            name: name.unwrap_or_default().to_owned(),
            path,
            file,
            meta,
        })
    }

    /// Its content, if it held still meanwhile.
    fn small(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let failed = |error| Error::local("read", &self.path, error);
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.meta = Folder::file_meta(&self.file).map_err(failed)?;
        let mut bytes = Vec::new();
        (&self.file)
            .take(self.meta.size + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let now = Folder::file_meta(&self.file).map_err(failed)?;
        Ok((self.meta.is_unchanged(&now) && bytes.len() as u64 == self.meta.size).then_some(bytes))
    }

    /// Writes its content as the file is now; returns `None` if it changed meanwhile.
    fn read_into(
        &self,
        out: &mut impl Write,
        progress: &dyn Progress,
    ) -> Result<Option<Meta>, Stop> {
        let failed = |error| Stop::Failed(Error::local("read", &self.path, error));
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let meta = Folder::file_meta(file).map_err(failed)?;
        let mut buffer = vec![0; CHUNK];
        let mut from = file.take(meta.size);
        let mut done = 0;
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => {
                    out.write_all(&buffer[..got])?;
                    progress.advance(got as u64);
                    done += got as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let now = Folder::file_meta(&self.file).map_err(failed)?;
        Ok((meta.is_unchanged(&now) && done == meta.size).then_some(meta))
    }

    fn changed(&self) -> Error {
        Error::Changed(vec![self.path.clone()])
    }
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    pub(super) async fn file(
        &self,
        mut file: Opened,
        target: &RemotePath,
    ) -> Result<Summary, Error> {
        self.progress.total(Some(file.meta.size), Some(1));
        self.progress.file(Path::new(&file.name));
        let mut readings = 0;
        while file.meta.size <= SMALL && readings < READINGS {
            readings += 1;
            if let Some(bytes) = file.small()? {
                return self.small_file(&file, bytes, target).await;
            }
        }
        if readings == READINGS {
            return Err(file.changed());
        }
        self.large_file(file, target).await
    }

    fn mode(&self, file: &Opened, meta: &Meta) -> Result<FileMode, Error> {
        let modes = self.settings.local_modes;
        let mode = modes.of_file(meta.mode, &file.file);
        let mode = mode.map_err(|error| Error::local("read", &file.path, error))?;
        Ok(FileMode::of(modes, mode))
    }

    async fn small_file(
        &self,
        file: &Opened,
        bytes: Vec<u8>,
        target: &RemotePath,
    ) -> Result<Summary, Error> {
        let size = bytes.len() as u64;
        let put = PutFile {
            path: &target.path,
            into: target.into,
            name: &file.name,
            nonce: &self.nonce,
            size,
            sum: Some(Checksum::of(&bytes)),
            mode: self.mode(file, &file.meta)?,
            modified: Some(file.meta.modified),
            codec: Codec::None,
            object: Object::Inline(bytes),
        };
        script::put_file(self.guest, put).await?;
        self.progress.advance(size);
        Ok(Summary {
            files: 1,
            bytes: size,
            wire_bytes: size,
            ..Summary::default()
        })
    }

    async fn large_file(&self, file: Opened, target: &RemotePath) -> Result<Summary, Error> {
        let name = self.object_name("first");
        let (place, ()) = tokio::join!(
            script::probe_for_file(self.guest, &target.path, target.into),
            self.store.presign_early(&name)
        );
        let place = place?;
        let data = file.meta.size.min(file.meta.allocated);
        if is_large(data, self.settings.shards.first) && place.tools.has("dd") {
            self.check_space(&place, data)?;
            return self.big_file(file, target, &place).await;
        }
        self.check_space(&place, file.meta.size)?;
        let codec = place.tools.codec(self.settings.compression)?;
        let into = target.into || place.kind == script::Kind::Folder;
        let beside = if into {
            &place.path
        } else {
            parent_of(&place.path)
        };
        let file = Arc::new(file);
        let mut wire_bytes = 0;
        let mut retries = Retries::default();
        let mut readings = 0;
        for number in 0.. {
            let progress = Arc::new(RetryProgress::new(self.progress.clone()));
            let make = || {
                progress.again();
                let (file, progress) = (file.clone(), progress.clone());
                move |out: &mut Output| file.read_into(out, &*progress)
            };
            let sent = send(
                self.store,
                &self.object_name(number),
                &self.encoding(codec),
                file.meta.size,
                make,
            )
            .await?;
            wire_bytes += sent.wire_bytes;
            let Some(meta) = sent.value else {
                self.progress.warn(format!(
                    "{} changed while being read; it is sent again",
                    file.path.display()
                ));
                readings += 1;
                if readings == READINGS {
                    break;
                }
                continue;
            };
            let nonce = nonce();
            let stage = stage(beside, &nonce);
            self.settings.cleanup.add(&stage);
            let put = async {
                let object = self
                    .hand_over(&place, &stage, 0, &sent.object.download)
                    .await?;
                let put = PutFile {
                    path: &place.path,
                    into,
                    name: &file.name,
                    nonce: &nonce,
                    size: meta.size,
                    sum: sent.sum,
                    mode: self.mode(&file, &meta)?,
                    modified: Some(meta.modified),
                    codec,
                    object,
                };
                script::put_file(self.guest, put).await
            };
            match self.settle(&stage, put.await).await {
                Ok(()) => return Ok(one_file(meta.size, wire_bytes)),
                Err(error) => retries.again(error).await?,
            }
        }
        Err(file.changed())
    }

    /// A file that goes in several parts at once.
    async fn big_file(
        &self,
        file: Opened,
        target: &RemotePath,
        place: &Place,
    ) -> Result<Summary, Error> {
        let into = target.into || place.kind == script::Kind::Folder;
        let (folder, name) = if into {
            (place.path.as_str(), file.name.as_str())
        } else {
            let name = place.path.rsplit('/').next().unwrap_or_default();
            (parent_of(&place.path), name)
        };
        let failed = |error| Error::local("read", &file.path, error);
        let mut words = Vec::new();
        let own = MemberPath::default().join(name.as_bytes());
        trailer::quoted(&own, &mut words).map_err(failed)?;
        let stage = self.stage(folder);
        let codec = place.tools.codec(self.settings.compression)?;
        self.settings.cleanup.add(&stage);
        let route = Route {
            place,
            stage: stage.clone(),
            codec,
        };
        let names = (folder.to_owned(), words);
        let opened = (file.file, file.meta);
        let sent = async {
            let mode = into.then_some(0o755);
            script::begin(self.guest, folder, &stage, mode, &[]).await?;
            let large = LargeFile::new((Vec::new(), own), file.path.clone(), opened, names, 0);
            let sent = self.in_parts(&route, large).await?;
            script::remove(self.guest, std::slice::from_ref(&stage)).await?;
            Ok(sent)
        };
        self.settle(&stage, sent.await).await
    }
}

pub(super) fn one_file(bytes: u64, wire_bytes: u64) -> Summary {
    Summary {
        files: 1,
        bytes,
        wire_bytes,
        ..Summary::default()
    }
}
