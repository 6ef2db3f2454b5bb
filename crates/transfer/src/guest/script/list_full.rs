//! What is at a place in the VM, with all that a comparison asks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use super::probe::{absolute, kind};
use super::reply::{Reply, broken};
use super::{Call, Deadline, Kind as What};
use crate::READINGS;
use crate::disk::folder::{Kind, Special};
use crate::disk::listing::{EntryState, Listing};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;
use crate::options::Links;

/// Bytes of a listing, packed and unpacked: some millions of entries.
const MOST_OUTPUT_BYTES: usize = 64 * 1024 * 1024;
const MOST_UNPACKED_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes of what stands between two zeros: the states of as many entries as a command line holds.
const MOST_FIELD_BYTES: u64 = 64 * 1024 * 1024;

/// What is looked at.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// What is in the folder that the path is.
    Tree,
    /// Entries of the folder that the path is, and what is in them.
    Into(Vec<String>),
    /// The file that the path is, or the one of this name in the folder that it is or will be.
    /// With `follows`, a link there counts as what it leads to.
    File {
        name: String,
        into: bool,
        follows: bool,
    },
    /// The folder or file that the path leads to.
    Source,
    /// What has these paths below the folder that the path is, and what is in them.
    Named(BTreeSet<MemberPath>),
}

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    All,
    /// Only what the path itself is.
    Surface,
}

/// What there is.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) kind: What,
    /// Absolute; of a file its own.
    pub(crate) path: String,
    /// By the path below; a lone file is at the root.
    pub(crate) side: Listing,
    /// The folder itself, where it was looked at.
    pub(crate) root: Option<EntryState>,
    programs: Vec<String>,
}

impl Scan {
    pub(crate) fn need(&self, programs: &[&'static str]) -> Result<(), Error> {
        let missing = |program: &&&str| !self.programs.iter().any(|has| has == **program);
        let missing = programs.iter().find(missing);
        missing.map_or(Ok(()), |program| Err(Error::GuestTool(program)))
    }
}

/// Scans a place.
pub(crate) async fn list_full(
    guest: &impl Guest,
    path: &str,
    shape: Shape,
    links: Links,
    depth: Depth,
) -> Result<Scan, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("follow.sh"),
        include_str!("list_full.sh")
    );
    let mut stdin = Vec::new();
    let (word, names) = match shape {
        Shape::Tree => ("tree", Vec::new()),
        Shape::Into(names) => ("into", names),
        Shape::File {
            name,
            into,
            follows,
        } => {
            let words = [into, follows].map(|word| u8::from(word).to_string());
            ("file", [vec![name], words.to_vec()].concat())
        }
        Shape::Source => ("source", Vec::new()),
        Shape::Named(paths) => {
            for path in paths {
                stdin.extend([b"./", path.as_bytes(), b"\0"].concat());
            }
            ("named", Vec::new())
        }
    };
    let depth = if depth == Depth::Surface { "0" } else { "" };
    let mut arguments = [path, word, links.option(), depth]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(names);
    let mut reading = 1;
    let output = loop {
        let call = Call {
            script,
            arguments: arguments.clone(),
            stdin: stdin.clone(),
            output_limit: MOST_OUTPUT_BYTES,
            deadline: Deadline::Transfer,
            action: "list all that is there",
            path,
        };
        match call.ask(guest).await {
            // Something may have vanished while it was looked at.
            Err(Error::Guest { .. }) if reading < READINGS => reading += 1,
            answer => break answer?,
        }
    };
    tokio::task::spawn_blocking(move || read(&output.stdout))
        .await
        .map_err(|error| Error::Worker(error.to_string()))?
}

/// Scans what has these paths below a folder, and all that is in `deep`, which are some of them.
pub(crate) async fn list_named(
    guest: &impl Guest,
    folder: &str,
    paths: BTreeSet<MemberPath>,
    deep: &BTreeSet<MemberPath>,
) -> Result<Scan, Error> {
    let named = Shape::Named(paths);
    let mut scan = list_full(guest, folder, named, Links::Keep, Depth::Surface).await?;
    let is_folder = |path: &&MemberPath| {
        let there = scan.side.get(*path);
        there.is_some_and(|there| there.kind == Kind::Folder)
    };
    let folders: BTreeSet<_> = deep.iter().filter(is_folder).cloned().collect();
    if !folders.is_empty() {
        let named = Shape::Named(folders);
        let below = list_full(guest, folder, named, Links::Keep, Depth::All).await?;
        scan.side.extend(below.side);
    }
    Ok(scan)
}

fn read(stdout: &[u8]) -> Result<Scan, Error> {
    let (answer, _) = Reply::read(stdout, &["path"])?;
    let end = answer
        .rest
        .iter()
        .position(|&byte| byte == 0)
        .ok_or_else(broken)?;
    let (path, packed) = (&answer.rest[..end], &answer.rest[end + 1..]);
    let codec = match answer.get("codec")? {
        "zstd" => Codec::Zstd,
        "gzip" => Codec::Gzip,
        _ => Codec::None,
    };
    let decoder = codec.decoder(packed).map_err(|_| broken())?;
    let mut fields = Fields(BufReader::new(decoder.take(MOST_UNPACKED_BYTES)));
    let mut side = match answer.get("format")? {
        "printf" => printed(&mut fields)?,
        _ => in_batches(&mut fields)?,
    };
    let kind = kind(answer.get("kind")?)?;
    if matches!(kind, What::File | What::Other) {
        let alone = std::mem::take(&mut side).into_values().next();
        side = alone
            .map(|state| (MemberPath::default(), state))
            .into_iter()
            .collect();
    }
    let root = match kind {
        What::Folder => side.remove(&MemberPath::default()),
        _ => None,
    };
    let programs = answer.get("tools")?.split_whitespace();
    Ok(Scan {
        kind,
        path: absolute(path)?,
        side,
        root,
        programs: programs.map(str::to_owned).collect(),
    })
}

/// What stands before each zero.
struct Fields<R>(BufReader<R>);

impl<R: Read> Fields<R> {
    fn next(&mut self) -> Result<Vec<u8>, Error> {
        let mut field = Vec::new();
        (&mut self.0)
            .take(MOST_FIELD_BYTES)
            .read_until(0, &mut field)
            .map_err(|_| broken())?;
        if field.pop() == Some(0) {
            Ok(field)
        } else {
            Err(broken())
        }
    }

    fn path(&mut self) -> Result<MemberPath, Error> {
        MemberPath::parse(&self.next()?).map_err(|_| broken())
    }

    /// Nothing follows the end; a codec's own check is made where its stream ends.
    fn end(&mut self) -> Result<(), Error> {
        let mut rest = [0];
        match self.0.read(&mut rest) {
            Ok(0) => Ok(()),
            _ => Err(broken()),
        }
    }
}

/// As GNU find prints it.
fn printed<R: Read>(fields: &mut Fields<R>) -> Result<Listing, Error> {
    let mut side = BTreeMap::new();
    loop {
        let head = fields.next()?;
        if head == b"end" {
            fields.end()?;
            return Ok(side);
        }
        let head = std::str::from_utf8(&head).map_err(|_| broken())?;
        let mut words = head.split(' ');
        let kind = match words.next() {
            Some("f") => Kind::File,
            Some("d") => Kind::Folder,
            Some("l") => Kind::Link,
            Some("p") => Kind::Special(Special::Pipe),
            Some("s") => Kind::Special(Special::Socket),
            Some("b" | "c") => Kind::Special(Special::Device),
            _ => Kind::Special(Special::Unknown),
        };
        let mut state = numbers(&mut words, kind)?;
        let path = fields.path()?;
        state.link = fields.next()?;
        side.insert(path, state);
    }
}

/// As stat prints it.
fn in_batches<R: Read>(fields: &mut Fields<R>) -> Result<Listing, Error> {
    let mut side = BTreeMap::new();
    loop {
        let heads = fields.next()?;
        if heads == b"end" {
            fields.end()?;
            return Ok(side);
        }
        let heads = std::str::from_utf8(&heads).map_err(|_| broken())?;
        let mut entries = Vec::new();
        for head in heads.lines() {
            let mut words = head.split(' ');
            let mode = words.next().ok_or_else(broken)?;
            let kind = Kind::of_mode(u32::from_str_radix(mode, 16).map_err(|_| broken())?);
            entries.push((fields.path()?, numbers(&mut words, kind)?));
        }
        for (_, state) in entries
            .iter_mut()
            .filter(|(_, state)| state.kind == Kind::Link)
        {
            state.link = fields.next()?;
        }
        side.extend(entries);
    }
}

/// Size, mode, time, user and group. The time is its second and the part on top, also before 1970.
fn numbers<'a>(words: &mut impl Iterator<Item = &'a str>, kind: Kind) -> Result<EntryState, Error> {
    let mut word = || words.next().ok_or_else(broken);
    let size = word()?.parse().map_err(|_| broken())?;
    let mode = u32::from_str_radix(word()?, 8).map_err(|_| broken())? & 0o1777;
    let time = word()?;
    let (seconds, part) = time.split_once('.').unwrap_or((time, "0"));
    let modified = Mtime {
        seconds: seconds.parse().map_err(|_| broken())?,
        nanos: Mtime::parse(&format!("0.{part}")).ok_or_else(broken)?.nanos,
    };
    let mut number = || word()?.parse().map_err(|_| broken());
    Ok(EntryState {
        kind,
        size: if kind == Kind::File { size } else { 0 },
        mode,
        modified,
        owner: (number()?, number()?),
        link: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(format: &str, listing: &[u8]) -> Vec<u8> {
        let head = format!("kind folder\nformat {format}\ncodec none\ntools find\npath\n/x\0");
        [head.as_bytes(), listing].concat()
    }

    #[test]
    fn both_forms_of_a_listing_say_the_same_and_an_early_end_is_found() {
        let printed = b"d 9 755 5.5000000000 0 0\0./a\0\0f 3 644 -2.7500000000 1 2\0./a/b\n\0\0l 1 777 0.0 0 0\0./l\0to\n\0end\0";
        let batch = b"41ed 9 755 5 0 0\n81a4 3 644 -2 1 2\na1ff 1 777 0 0 0\n\0./a\0./a/b\n\0./l\0to\n\0end\0";
        let one = read(&answer("printf", printed)).unwrap();
        let other = read(&answer("stat", batch)).unwrap();
        assert_eq!(one.side.len(), 3);
        let file = &one.side[&MemberPath::parse(b"a/b\n").unwrap()];
        let nanos = 750_000_000;
        assert_eq!(file.modified, Mtime { seconds: -2, nanos });
        assert_eq!((file.owner, file.size), ((1, 2), 3));
        for ((path, state), (same, there)) in one.side.iter().zip(&other.side) {
            assert_eq!(
                (path, state.kind, &state.link),
                (same, there.kind, &there.link)
            );
            assert!(state.same_time(there));
        }
        for cut in 0..printed.len() {
            assert!(read(&answer("printf", &printed[..cut])).is_err(), "{cut}");
        }
        for cut in 0..batch.len() {
            assert!(read(&answer("stat", &batch[..cut])).is_err(), "{cut}");
        }
    }
}
