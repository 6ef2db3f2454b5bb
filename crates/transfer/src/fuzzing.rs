//! The entry of a fuzz target: archives of a hostile VM, and the promises that unpacking keeps whatever they are.
//!
//! It panics when a promise is broken. `fuzz/` feeds it random bytes; a test here feeds it the seeds that are kept.

#![expect(
    clippy::unwrap_used,
    reason = "a broken promise is told by a panic, which is what a fuzzer looks for"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::disk::install::{EarlierTries, TreeInstall};
use crate::disk::local_names::LocalNames;
use crate::disk::unpack::{Limits, unpack};
use crate::format::archive::Fault;
use crate::format::codec::Codec;
use crate::options::Incomplete;
use crate::progress::Silent;

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

/// What the bytes are wrapped in.
#[derive(Clone, Copy, Debug)]
enum Decoder {
    None,
    Gzip,
    Zstd,
}

/// Unpacks beside and moves into place, as a download does; the members it took, or why it took none.
fn unpack_into(
    target: &Path,
    decoder: Decoder,
    archive: &[u8],
    (members, bytes): (u64, u64),
    nonce: &str,
) -> Result<u64, String> {
    let told = |fault: Fault| match fault {
        Fault::Stream(error) => error.to_string(),
        Fault::Refused(error) => error.to_string(),
    };
    let codec = match decoder {
        Decoder::None => Codec::None,
        Decoder::Gzip => Codec::Gzip,
        Decoder::Zstd => Codec::Zstd,
    };
    let install = TreeInstall::prepare(&EarlierTries::default(), target, nonce)
        .map_err(|error| error.to_string())?;
    let folder = install.open().map_err(|error| error.to_string())?;
    let from = codec
        .decoder(archive)
        .map_err(|error| told(Fault::Stream(error)))?;
    let limits = Limits { members, bytes };
    let unpacked = unpack(
        from,
        folder,
        limits,
        &LocalNames::new(false, Incomplete::Stop),
        &Silent,
    )
    .map_err(told)?;
    install
        .place(&unpacked.folders)
        .map_err(|error| error.to_string())?;
    Ok(unpacked.members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_archive_that_is_kept_is_read_and_keeps_the_promises() {
        let ground = tempfile::tempdir().unwrap();
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/archive_reader");
        let mut count = 0;
        for seed in fs::read_dir(seeds).unwrap() {
            archive_reader(ground.path(), &fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0);
    }
}
