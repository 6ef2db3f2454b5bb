//! A folder as a `tar.gz` that is made while it is sent: nothing of it is kept in memory or on disk.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::dockerignore::Rules;
use fastvm_transfer::ByteStream;
use fastvm_transfer::format::channel::{ChannelWriter, Piece, channel, stream};

/// Begins to pack a folder. The stream ends with an error if the folder cannot be read to its end.
pub(super) fn pack(folder: PathBuf, rules: Rules) -> ByteStream<io::Error> {
    let (sender, receiver) = channel();
    let failures = sender.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(&folder, &rules, ChannelWriter::new(sender)) {
            // a receiver that is gone has its own reason
            let _ = failures.blocking_send(Piece::Failed(error));
        }
    });
    stream(receiver)
}

fn write(folder: &Path, rules: &Rules, out: ChannelWriter) -> io::Result<()> {
    let gzip = GzEncoder::new(out, Compression::fast());
    let mut packer = Packer {
        rules,
        archive: tar::Builder::new(gzip),
    };
    packer.folder(folder, &mut Vec::new())?;
    packer.archive.into_inner()?.finish()?.finish()
}

struct Packer<'a> {
    rules: &'a Rules,
    archive: tar::Builder<GzEncoder<ChannelWriter>>,
}

impl Packer<'_> {
    /// Packs what a folder holds, in the order of names, so that equal folders make equal archives.
    fn folder(&mut self, folder: &Path, path: &mut Vec<String>) -> io::Result<()> {
        let mut entries = fs::read_dir(folder)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| at(folder, &error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let place = entry.path();
            path.push(entry.file_name().to_string_lossy().into_owned());
            self.entry(&place, path)
                .map_err(|error| match error.kind() {
                    // a lost connection is no fault of the file
                    io::ErrorKind::BrokenPipe => error,
                    _ => at(&place, &error),
                })?;
            path.pop();
        }
        Ok(())
    }

    fn entry(&mut self, place: &Path, path: &mut Vec<String>) -> io::Result<()> {
        let metadata = fs::symlink_metadata(place)?;
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let out = self.rules.leaves_out(&segments);
        let name = segments.join("/");
        if metadata.is_dir() {
            if !out {
                let mut header = header(&metadata);
                header.set_size(0);
                self.archive
                    .append_data(&mut header, format!("{name}/"), io::empty())?;
            }
            if !out || self.rules.brings_back() {
                self.folder(place, path)?;
            }
        } else if out {
            // nothing below it that could be brought back
        } else if metadata.is_symlink() {
            let mut header = header(&metadata);
            header.set_size(0);
            self.archive
                .append_link(&mut header, &name, fs::read_link(place)?)?;
        } else if metadata.is_file() {
            let file = File::open(place)?;
            let metadata = file.metadata()?;
            let content = Exactly {
                left: metadata.len(),
                file,
            };
            self.archive
                .append_data(&mut header(&metadata), &name, content)?;
        }
        Ok(())
    }
}

/// Mode and time as they are; the owner is root, as in any image.
fn header(metadata: &Metadata) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// As much of a file as its header promises: no more where it grew, an error where it shrank.
struct Exactly {
    left: u64,
    file: File,
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left)
            .unwrap_or(into.len())
            .min(into.len());
        let got = self.file.read(&mut into[..room])?;
        if got == 0 && room > 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= got as u64;
        Ok(got)
    }
}

fn at(place: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", place.display()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use futures_util::TryStreamExt as _;

    use super::*;

    async fn packed(folder: &Path, rules: &str) -> BTreeMap<String, String> {
        let pieces: Vec<_> = pack(folder.to_owned(), Rules::parse(rules))
            .try_collect()
            .await
            .unwrap();
        let bytes = pieces.concat();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            if let Some(link) = entry.link_name().unwrap() {
                text = format!("-> {}", link.display());
            }
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[tokio::test]
    async fn files_folders_and_links_are_packed_and_ignored_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in ["empty", "out/deep", "src"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        for name in ["src/main.py", "out/a", "out/deep/keep", "x.log"] {
            fs::write(path.join(name), name).unwrap();
        }
        symlink("src/main.py", path.join("link")).unwrap();
        let names: Vec<_> = packed(path, "out\n*.log\n!out/deep/keep")
            .await
            .into_iter()
            .map(|(name, text)| format!("{name} {text}"))
            .collect();
        assert_eq!(
            names,
            [
                "empty/ ",
                "link -> src/main.py",
                "out/deep/keep out/deep/keep",
                "src/ ",
                "src/main.py src/main.py",
            ]
        );
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_read_ends_the_stream_with_an_error() {
        let stream = pack(PathBuf::from("/no/such/folder"), Rules::default());
        let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
        assert!(
            error.to_string().starts_with("/no/such/folder: "),
            "{error}"
        );
    }
}
