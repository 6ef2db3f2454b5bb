//! Making the VM send files out.

use super::list::Listed;
use super::reply::{Reply, broken};
use super::{Call, Deadline, SMALL_OUTPUT, line};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::header::TarDialect;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;
use crate::options::Links;
use fastvm_api::secret::SignedUrl;

/// Bytes in a block of [`piece`].
pub(crate) const BLOCK: u64 = 64 * 1024;

/// Size, mode and time of a file in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) modified: Mtime,
}

impl Status {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or_else(broken);
        let size = word()?.parse().map_err(|_| broken())?;
        let mode = u32::from_str_radix(word()?, 8).map_err(|_| broken())? & 0o1777;
        let modified = Mtime::parse(word()?).ok_or_else(broken)?;
        Ok(Self {
            size,
            mode,
            modified,
        })
    }
}

/// How an object leaves the VM. The stage is a folder that is made for it.
#[derive(Clone, Debug)]
pub(crate) enum SendTo {
    /// As it is made.
    Direct(SignedUrl),
    /// By way of a file, for the sake of a checksum.
    Staged(SignedUrl, String),
    /// It stays in the stage, to be read in pieces.
    Kept(String),
}

impl SendTo {
    fn arguments(&self) -> [String; 2] {
        let (how, stage) = match self {
            Self::Direct(_) => ("direct", ""),
            Self::Staged(_, stage) => ("staged", stage.as_str()),
            Self::Kept(stage) => ("kept", stage.as_str()),
        };
        [how.to_owned(), stage.to_owned()]
    }

    fn stdin(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Direct(url) | Self::Staged(url, _) => line(url),
            Self::Kept(_) => Ok(Vec::new()),
        }
    }
}

/// What the VM says about the object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// Bytes in the stage.
    pub(crate) size: Option<u64>,
    /// Checksum of what is in the object, when its codec has none.
    pub(crate) sum: Option<u32>,
}

impl Made {
    fn read(answer: &Reply<'_>, codec: Codec) -> Result<Self, Error> {
        let size = answer
            .get("size")
            .ok()
            .map(|size| size.parse().map_err(|_| broken()))
            .transpose()?;
        let sum = match codec {
            Codec::None => Some(answer.get("sum")?.parse().map_err(|_| broken())?),
            Codec::Zstd | Codec::Gzip => None,
        };
        Ok(Self { size, sum })
    }
}

/// What the VM says it sent of a folder.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveHeader {
    /// Members and bytes, before and after.
    pub(crate) before: (u64, u64),
    pub(crate) after: (u64, u64),
    /// It did not change meanwhile, as far as sizes and times tell.
    pub(crate) still: bool,
    /// Exit status of tar, which may be one that is no failure.
    pub(crate) tar: i32,
    pub(crate) stderr: Vec<u8>,
    pub(crate) made: Made,
}

/// Sends one file; returns its status before and after.
pub(crate) async fn send_file(
    guest: &impl Guest,
    path: &str,
    codec: Codec,
    way: &SendTo,
) -> Result<(Status, Status, Made), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("status.sh"),
        include_str!("object.sh"),
        include_str!("deliver.sh"),
        include_str!("send_file.sh")
    );
    let what = (script, "send the file");
    send_content(guest, path, codec, way, what, Vec::new()).await
}

/// Sends some blocks of a file; returns its status before and after.
pub(crate) async fn send_range(
    guest: &impl Guest,
    path: &str,
    codec: Codec,
    way: &SendTo,
    (block, count): (u64, u64),
) -> Result<(Status, Status, Made), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("status.sh"),
        include_str!("object.sh"),
        include_str!("deliver.sh"),
        include_str!("send_range.sh")
    );
    let what = (script, "send a part of the file");
    let blocks = vec![block.to_string(), count.to_string()];
    send_content(guest, path, codec, way, what, blocks).await
}

async fn send_content(
    guest: &impl Guest,
    path: &str,
    codec: Codec,
    way: &SendTo,
    (script, action): (&'static str, &str),
    blocks: Vec<String>,
) -> Result<(Status, Status, Made), Error> {
    let mut arguments = vec![path.to_owned(), codec.name().to_owned()];
    arguments.extend(way.arguments());
    arguments.extend(blocks);
    let call = Call {
        script,
        arguments,
        stdin: way.stdin()?,
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Transfer,
        action,
        path,
    };
    let output = call.run(guest).await?;
    let (answer, _) = Reply::read(&output.stdout, &["done"])?;
    Ok((
        Status::read(answer.get("before")?)?,
        Status::read(answer.get("after")?)?,
        Made::read(&answer, codec)?,
    ))
}

/// What a command line surely takes, in bytes, and what one word costs besides its length.
const MOST_ARGUMENT_BYTES: usize = 1024 * 1024;
const ARGUMENT_OVERHEAD: usize = 16;

/// How much of a folder goes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    All,
    /// All, unless that is more than so many bytes, a kibibyte counted for each entry.
    UpTo(u64),
    /// Only the entries named, without the folder itself.
    Part,
    /// Only the entries named, and the folder itself.
    Rest,
}

/// A folder on its way out.
#[derive(Debug)]
pub(crate) struct SendTree<'a> {
    pub(crate) path: &'a str,
    pub(crate) codec: Codec,
    pub(crate) dialect: TarDialect,
    pub(crate) links: Links,
    /// Only these entries, and the folder itself; all when there is no list.
    pub(crate) only: Option<&'a [Listed]>,
    pub(crate) share: Share,
    pub(crate) way: &'a SendTo,
}

impl SendTree<'_> {
    /// The address, then the names that tar reads.
    fn stdin(&self) -> Result<Vec<u8>, Error> {
        let mut stdin = self.way.stdin()?;
        let Some(only) = self.only else {
            return Ok(stdin);
        };
        let mut words = 0;
        let own = (self.share != Share::Part).then_some(&b"."[..]);
        for path in own
            .into_iter()
            .chain(only.iter().map(|listed| listed.path.as_bytes()))
        {
            match self.dialect {
                TarDialect::Gnu => {
                    stdin.extend(b"./");
                    stdin.extend(path);
                    stdin.push(0);
                }
                TarDialect::Plain => {
                    words += path.len() + ARGUMENT_OVERHEAD;
                    stdin.push(b' ');
                    quote(path, &mut stdin);
                }
            }
        }
        if words > MOST_ARGUMENT_BYTES {
            return Err(Error::Refused {
                path: self.path.to_owned(),
                reason: "the tar of the VM cannot read a list of names, and these are too many for its command line".to_owned(),
            });
        }
        Ok(stdin)
    }
}

/// A path below the working folder as one word of shell, whatever bytes it holds.
fn quote(path: &[u8], out: &mut Vec<u8>) {
    out.extend(b"'./");
    for &byte in path {
        match byte {
            b'\'' => out.extend(b"'\\''"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}

/// Sends what is in a folder, as one archive; `None` if it is too large for that.
pub(crate) async fn send_tree(
    guest: &impl Guest,
    tree: SendTree<'_>,
) -> Result<Option<ArchiveHeader>, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("deliver.sh"),
        include_str!("send_tree.sh")
    );
    let dialect = match tree.dialect {
        TarDialect::Gnu => "gnu",
        TarDialect::Plain => "plain",
    };
    let share = match tree.share {
        Share::All => "0".to_owned(),
        Share::UpTo(bytes) => bytes.to_string(),
        Share::Part | Share::Rest => "part".to_owned(),
    };
    let (path, codec) = (tree.path, tree.codec);
    let mut arguments = vec![path.to_owned(), codec.name().to_owned(), dialect.to_owned()];
    arguments.extend(tree.way.arguments());
    arguments.push(tree.links.option().to_owned());
    arguments.push(u8::from(tree.only.is_some()).to_string());
    arguments.push(share);
    let call = Call {
        script,
        arguments,
        stdin: tree.stdin()?,
        output_limit: 1024 * 1024,
        deadline: Deadline::Transfer,
        action: "send the folder",
        path,
    };
    let output = call.run(guest).await?;
    let (answer, end) = Reply::read(&output.stdout, &["done", "large"])?;
    if end == "large" {
        return Ok(None);
    }
    let extent = |key| {
        let mut words = answer.get(key)?.split(' ');
        let mut number = || {
            words
                .next()
                .and_then(|word| word.parse().ok())
                .ok_or_else(broken)
        };
        Ok::<_, Error>((number()?, number()?))
    };
    Ok(Some(ArchiveHeader {
        before: extent("before")?,
        after: extent("after")?,
        still: answer.get("before")? == answer.get("after")?,
        tar: answer.get("tar")?.parse().map_err(|_| broken())?,
        made: Made::read(&answer, codec)?,
        stderr: output.stderr.clone(),
    }))
}

/// Some blocks of a kept object, less at its end.
pub(crate) async fn piece(
    guest: &impl Guest,
    stage: &str,
    block: u64,
    count: u64,
) -> Result<Vec<u8>, Error> {
    let script = concat!(include_str!("base.sh"), include_str!("piece.sh"));
    let limit = count.saturating_mul(BLOCK);
    let path = format!("{stage}/object");
    let call = Call {
        script,
        arguments: vec![path.clone(), block.to_string(), count.to_string()],
        stdin: Vec::new(),
        output_limit: usize::try_from(limit).unwrap_or(usize::MAX),
        deadline: Deadline::Transfer,
        action: "read the archive",
        path: &path,
    };
    let bytes = call.run(guest).await?.stdout;
    if bytes.len() as u64 > limit {
        Err(broken())
    } else {
        Ok(bytes)
    }
}
