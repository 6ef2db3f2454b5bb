//! The sha256 of files in the VM.

use std::collections::{BTreeMap, BTreeSet};

use super::reply::broken;
use super::{Call, Deadline};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::Guest;

/// A sha256.
pub(crate) type Digest = [u8; 32];

/// Bytes of names that one command takes along.
const MOST_STDIN_BYTES: usize = 512 * 1024;
/// Bytes of an answer for each name, besides the name.
const LINE_OVERHEAD: usize = 80;

/// Hashes files below a folder; what is not there or can't be read is not in the answer.
pub(crate) async fn hash(
    guest: &impl Guest,
    folder: &str,
    paths: &BTreeSet<MemberPath>,
) -> Result<BTreeMap<MemberPath, Digest>, Error> {
    let (plain, odd): (Vec<_>, Vec<_>) = paths.iter().partition(|path| is_plain(path));
    let mut digests = BTreeMap::new();
    for (how, paths) in [("lines", plain), ("each", odd)] {
        let mut rest = paths.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |path: &&&MemberPath| {
                bytes += path.as_bytes().len();
                bytes <= MOST_STDIN_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            rest = later;
            let said = run(guest, folder, how, now).await?;
            let lines: Vec<_> = said.split(|&byte| byte == b'\n').collect();
            for (number, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
                let (digest, path) = if how == "lines" {
                    by_name(line)?
                } else {
                    let path = now.get(number).ok_or_else(broken)?;
                    (line.get(..64), (*path).clone())
                };
                if let Some(digest) = digest {
                    digests.insert(path, read(digest)?);
                }
            }
        }
    }
    Ok(digests)
}

async fn run(
    guest: &impl Guest,
    folder: &str,
    how: &str,
    paths: &[&MemberPath],
) -> Result<Vec<u8>, Error> {
    let script = concat!(include_str!("base.sh"), include_str!("hash.sh"));
    let mut stdin = Vec::new();
    for path in paths {
        stdin.extend([b"./", path.as_bytes(), b"\0"].concat());
    }
    let call = Call {
        script,
        arguments: vec![folder.to_owned(), how.to_owned()],
        output_limit: stdin.len() + paths.len() * LINE_OVERHEAD + LINE_OVERHEAD,
        stdin,
        deadline: Deadline::Transfer,
        action: "compute checksums",
        path: folder,
    };
    let said = call.ask(guest).await?.stdout;
    Ok(said.strip_suffix(b"done").ok_or_else(broken)?.to_vec())
}

/// Returns whether sha256sum prints the name as it is, on one line.
fn is_plain(path: &MemberPath) -> bool {
    !path
        .as_bytes()
        .iter()
        .any(|byte| matches!(byte, b'\n' | b'\r' | b'\\'))
}

/// A line of sha256sum.
fn by_name(line: &[u8]) -> Result<(Option<&[u8]>, MemberPath), Error> {
    let name = line.get(66..).ok_or_else(broken)?;
    let path = MemberPath::parse(name).map_err(|_| broken())?;
    Ok((line.get(..64), path))
}

fn read(digits: &[u8]) -> Result<Digest, Error> {
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| broken())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| broken())?;
    }
    Ok(digest)
}
