//! What is in a folder of the VM, with sizes.

use super::reply::broken;
use super::{Call, Deadline};
use crate::disk::folder::{Kind, PERMISSIONS};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;

/// Names and numbers of some millions of entries.
const MOST_OUTPUT_BYTES: usize = 512 * 1024 * 1024;

/// One entry below the folder.
#[derive(Clone, Debug)]
pub(crate) struct ListedSize {
    pub(crate) path: MemberPath,
    pub(crate) kind: Kind,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Content of a file, in bytes, and what of it stands on the disk.
    pub(crate) size: u64,
    pub(crate) data: u64,
    pub(crate) modified: Mtime,
    /// Which file it is a name of, if that has several.
    pub(crate) one_of: Option<Box<str>>,
}

/// Surveys a folder, without sockets; folders come before what they hold.
pub(crate) async fn list_sizes(guest: &impl Guest, path: &str) -> Result<Vec<ListedSize>, Error> {
    let script = concat!(include_str!("base.sh"), include_str!("list_sizes.sh"));
    let call = Call {
        script,
        arguments: vec![path.to_owned()],
        stdin: Vec::new(),
        output_limit: MOST_OUTPUT_BYTES,
        deadline: Deadline::Transfer,
        action: "list the folder",
        path,
    };
    let output = call.ask(guest).await?;
    let mut rest = output.stdout.strip_suffix(b"done").ok_or_else(broken)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let count: usize = line(&mut rest)?.parse().map_err(|_| broken())?;
        let from = all.len();
        for _ in 0..count {
            all.push(numbers(line(&mut rest)?)?);
        }
        for entry in &mut all[from..] {
            let end = memchr::memchr(0, rest).ok_or_else(broken)?;
            entry.path = MemberPath::parse(&rest[..end]).map_err(|_| broken())?;
            if entry.path.is_root() {
                return Err(broken());
            }
            rest = &rest[end + 1..];
        }
    }
    Ok(all)
}

fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Error> {
    let end = memchr::memchr(b'\n', rest).ok_or_else(broken)?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| broken())?;
    *rest = &rest[end + 1..];
    Ok(line)
}

fn numbers(line: &str) -> Result<ListedSize, Error> {
    let words: Vec<_> = line.split(' ').collect();
    let [mode, size, blocks, names, identity, time] = words.as_slice() else {
        return Err(broken());
    };
    let number = |word: &str| word.parse::<u64>().map_err(|_| broken());
    let mode = u32::from_str_radix(mode, 16).map_err(|_| broken())?;
    let kind = Kind::of_mode(mode);
    let size = if kind == Kind::File { number(size)? } else { 0 };
    Ok(ListedSize {
        path: MemberPath::default(),
        kind,
        mode: mode & PERMISSIONS,
        size,
        data: size.min(number(blocks)?.saturating_mul(512)),
        modified: Mtime::parse(time).ok_or_else(broken)?,
        one_of: (kind == Kind::File && number(names)? > 1).then(|| (*identity).into()),
    })
}
