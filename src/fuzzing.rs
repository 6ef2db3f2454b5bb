//! Doors for the fuzz targets: what reads bytes of a hostile VM or server, and the promises it keeps whatever they are.
//!
//! Each function panics when a promise is broken. `fuzz/` feeds them random bytes; a test here feeds them the seeds that are kept.

#![expect(
    clippy::unwrap_used,
    reason = "a broken promise is told by a panic, which is what a fuzzer looks for"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::api::exec::Event;
use crate::api::exec_events::{EventReader, Fault};
use crate::transfer::fuzzing::{Decoder, unpack_into};

/// What an archive may hold here, in members and in bytes.
const MOST_MEMBERS: u64 = 1000;
const MOST_BYTES: u64 = 1_000_000;

/// Unpacks an archive, as a download does, into a folder of `ground`, which must be empty and is left empty.
///
/// The first byte says how the rest is read: 0 as it is, 1 with the checksums of its headers made right, which gets random bytes past
/// the first check, 2 as gzip, 3 as zstd.
pub fn archive_reader(ground: &Path, bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else {
        return;
    };
    let mut archive = rest.to_vec();
    let decoder = match how % 4 {
        0 => Decoder::None,
        1 => {
            mend(&mut archive);
            Decoder::None
        }
        2 => Decoder::Gzip,
        _ => Decoder::Zstd,
    };
    let (into, outside) = (ground.join("into"), ground.join("outside"));
    fs::create_dir_all(into.join("old/sub")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "mine").unwrap();
    fs::write(into.join("old/file"), "old").unwrap();
    symlink("../outside", into.join("way-out")).unwrap();
    symlink("../outside/file", into.join("old/way-out")).unwrap();
    let before = listing(&outside);
    let old = listing(&into);
    let taken = unpack_into(&into, decoder, &archive, (MOST_MEMBERS, MOST_BYTES), "fuzz");
    assert_eq!(
        listing(&outside),
        before,
        "something was written outside the folder"
    );
    let got = listing(&into);
    if taken.is_err() {
        assert_eq!(got, old, "a refused archive changed the folder");
    }
    for (path, node) in &got {
        assert!(node.mode & 0o6000 == 0, "{} is set-uid", path.display());
        assert!(
            node.kind != Kind::Other,
            "{} is a device or a pipe",
            path.display()
        );
    }
    assert!(
        fs::symlink_metadata(into.join(".fastvm-fuzz")).is_err(),
        "the stage is left"
    );
    let bytes: u64 = got.values().map(|node| node.size).sum();
    assert!(bytes <= MOST_BYTES + 3, "more is written than announced");
    // What a test may not read it must still be able to remove.
    open_up(&into);
    fs::remove_dir_all(&into).unwrap();
    fs::remove_dir_all(&outside).unwrap();
    assert_eq!(
        fs::read_dir(ground).unwrap().count(),
        0,
        "something is left beside the folder"
    );
}

/// Reads the answer of a streaming command in one piece and in several: the events must be the same.
pub fn exec_events(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else {
        return;
    };
    let (whole, ending) = events(stream, stream.len().max(1));
    let data: usize = whole
        .iter()
        .map(|event| match event {
            Event::Stdout(data) | Event::Stderr(data) => data.len(),
            Event::Exit(_) => 0,
        })
        .sum();
    assert!(data <= stream.len(), "an event holds more than was sent");
    assert_eq!(
        (whole, ending),
        events(stream, usize::from(*size) + 1),
        "pieces of {} bytes are read otherwise",
        usize::from(*size) + 1
    );
}

fn events(stream: &[u8], piece: usize) -> (Vec<Event>, Option<Fault>) {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    let mut pieces = stream.chunks(piece);
    loop {
        let had_more = reader.has_more();
        match reader.next() {
            Ok(Some(event)) => {
                assert!(had_more, "an event came without its line");
                events.push(event);
                continue;
            }
            Ok(None) => {}
            Err(fault) => return (events, Some(fault)),
        }
        match pieces.next() {
            Some(piece) => reader.feed(piece),
            None if reader.end() => {}
            None => return (events, None),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// What is told apart at a path.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    kind: Kind,
    mode: u32,
    size: u64,
    modified: (i64, i64),
    content: Vec<u8>,
}

/// Everything below a folder, and the folder itself.
fn listing(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    nodes.insert(root.to_owned(), node(root));
    while let Some(folder) = folders.pop() {
        // Whoever runs this as somebody else than root may be kept out by the archive's own modes.
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let node = node(&path);
            if node.kind == Kind::Folder {
                folders.push(path.clone());
            }
            nodes.insert(path, node);
        }
    }
    nodes
}

fn node(path: &Path) -> Node {
    let meta = fs::symlink_metadata(path).unwrap();
    let mut content = Vec::new();
    let kind = if meta.is_symlink() {
        content = fs::read_link(path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes();
        Kind::Link
    } else if meta.is_dir() {
        Kind::Folder
    } else if meta.is_file() {
        // Whoever runs this as somebody else than root may be kept out by the archive's own modes.
        if let Ok(file) = fs::File::open(path) {
            file.take(MOST_BYTES + 1).read_to_end(&mut content).unwrap();
        }
        Kind::File
    } else {
        Kind::Other
    };
    // A folder's own size and time change with what is beside the copy for a while.
    let (size, modified) = match kind {
        Kind::File => (meta.len(), (meta.mtime(), meta.mtime_nsec())),
        _ => (0, (0, 0)),
    };
    Node {
        mode: meta.permissions().mode() & 0o7777,
        kind,
        size,
        modified,
        content,
    }
}

fn open_up(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            open_up(&path);
        }
    }
}

/// Makes the checksum right of each block that looks like a header.
fn mend(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(target);
        let seeds: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(!seeds.is_empty());
        seeds
    }

    /// T29.
    #[test]
    fn every_archive_that_is_kept_is_read_and_keeps_the_promises() {
        let ground = tempfile::tempdir().unwrap();
        for seed in seeds("archive_reader") {
            archive_reader(ground.path(), &seed);
        }
    }

    /// T34.
    #[test]
    fn every_stream_that_is_kept_gives_the_same_events_in_pieces() {
        for seed in seeds("exec_events") {
            exec_events(&seed);
        }
    }
}
