//! Archives whose bytes depend on nothing but the names, modes and contents of their files.

use std::collections::BTreeMap;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::workspace::write;
use crate::zip::zip;
use crate::{Error, about};

/// Files by their path in an archive.
#[derive(Clone, Default)]
pub(crate) struct Files(BTreeMap<String, File>);

#[derive(Clone)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    pub(crate) is_executable: bool,
}

impl Files {
    /// Adds a file of the disk.
    pub(crate) fn add(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        let content = std::fs::read(path).map_err(about(path))?;
        self.add_content(name, content);
        Ok(())
    }

    /// Adds a program of the disk.
    pub(crate) fn add_program(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        self.add(name, path)?;
        self.0
            .entry(name.to_owned())
            .and_modify(|file| file.is_executable = true);
        Ok(())
    }

    /// Adds a file.
    pub(crate) fn add_content(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        let file = File {
            content: content.into(),
            is_executable: false,
        };
        self.0.insert(name.to_owned(), file);
    }

    /// Adds all files below a folder of the disk, under the name of `folder`.
    pub(crate) fn add_folder(&mut self, name: &str, folder: &Path) -> Result<(), Error> {
        for entry in std::fs::read_dir(folder).map_err(about(folder))? {
            let entry = entry.map_err(about(folder))?;
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.add_folder(&name, &entry.path())?;
            } else {
                self.add(&name, &entry.path())?;
            }
        }
        Ok(())
    }

    /// The files below a folder of the archive.
    pub(crate) fn below(self, folder: &str) -> Self {
        let files = self.0.into_iter();
        Self(
            files
                .map(|(name, file)| (format!("{folder}/{name}"), file))
                .collect(),
        )
    }

    /// Writes them as the ending of the path says.
    pub(crate) fn write(&self, path: &Path, time: u64) -> Result<(), Error> {
        let bytes = if path.extension().is_some_and(|ending| ending == "zip") {
            zip(self.0.iter(), time)?
        } else {
            self.tar_gz(time)?
        };
        write(path, bytes)
    }

    fn tar_gz(&self, time: u64) -> Result<Vec<u8>, Error> {
        // flate2 writes neither a name nor a time into the head.
        let gzip = GzEncoder::new(Vec::new(), Compression::best());
        let mut archive = tar::Builder::new(gzip);
        for (name, file) in &self.0 {
            let mut header = tar::Header::new_ustar();
            header.set_size(file.content.len() as u64);
            header.set_mode(file.mode());
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            archive.append_data(&mut header, name, file.content.as_slice())?;
        }
        Ok(archive.into_inner()?.finish()?)
    }
}

impl File {
    pub(crate) fn mode(&self) -> u32 {
        if self.is_executable { 0o755 } else { 0o644 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(order: [&str; 3]) -> Files {
        let mut files = Files::default();
        for name in order {
            files.add_content(name, name.repeat(1000));
        }
        files
    }

    #[test]
    fn the_order_in_which_files_are_added_changes_no_byte() {
        let one = files(["a", "b/c", "b/d"]);
        let other = files(["b/d", "a", "b/c"]);
        assert_eq!(one.tar_gz(7).unwrap(), other.tar_gz(7).unwrap());
        assert_ne!(one.tar_gz(7).unwrap(), other.tar_gz(8).unwrap());
        let zips = [one, other].map(|files| zip(files.0.iter(), 1_700_000_000).unwrap());
        assert_eq!(zips[0], zips[1]);
    }

    #[test]
    fn an_archive_has_the_files_with_their_modes_below_one_folder() {
        let mut files = files(["LICENSE", "man/a.1", "fastvm"]);
        let program = files.0.get_mut("fastvm").unwrap();
        program.is_executable = true;
        let bytes = files.below("fastvm-1.0.0").tar_gz(7).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap())
        });
        let expected = [
            ("fastvm-1.0.0/LICENSE".to_owned(), 0o644),
            ("fastvm-1.0.0/fastvm".to_owned(), 0o755),
            ("fastvm-1.0.0/man/a.1".to_owned(), 0o644),
        ];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
