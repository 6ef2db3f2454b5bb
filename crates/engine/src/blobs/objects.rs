//! The bytes of objects, one file each.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use uuid::Uuid;

/// The folder of all objects.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    folder: PathBuf,
}

/// An object that is there.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) file: File,
    /// In bytes.
    pub(crate) size: u64,
    /// Tells this upload from others of the same object, as an `ETag`.
    pub(crate) tag: String,
}

/// An upload under way. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload {
    file: File,
    part: PathBuf,
    target: PathBuf,
}

impl Objects {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The object of an id that has a row; nothing until its upload is complete.
    pub(crate) fn open(&self, id: &str) -> io::Result<Option<Object>> {
        let file = match File::open(self.folder.join(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let found = file.metadata()?;
        let tag = format!(
            "\"{:x}-{:x}-{:x}{:09x}\"",
            found.ino(),
            found.len(),
            found.mtime(),
            found.mtime_nsec()
        );
        Ok(Some(Object {
            file,
            size: found.len(),
            tag,
        }))
    }

    /// Begins an upload beside what may be there already.
    pub(crate) fn upload(&self, id: &str) -> io::Result<Upload> {
        let part = self
            .folder
            .join(format!("{id}.{}.part", Uuid::new_v4().simple()));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)?;
        Ok(Upload {
            file,
            part,
            target: self.folder.join(id),
        })
    }
}

impl Upload {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes what was written the object, at once.
    pub(crate) fn finish(self) -> io::Result<()> {
        fs::rename(&self.part, &self.target)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // After `finish` it is not there any more.
        fs::remove_file(&self.part).ok();
    }
}
