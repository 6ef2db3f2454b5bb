//! Reading an archive that a VM made. It is hostile until proven otherwise: what is odd is refused, not skipped, for two readers that
//! disagree about an archive are a way in.

use std::io::{self, Read};

use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::pax::{self, Pax};

mod field;

use field::{BLOCK, name_of, number, until_zero};

/// Content of one extension header, in bytes.
const LONGEST_EXTENSION: u64 = 64 * 1024;
const LONGEST_LINK: usize = 4096;
/// Zeros after the end blocks, in bytes: packers fill up a record, of 10 KiB by default. A compressed stream of zeros has no end in sight.
const MOST_PADDING: u64 = 1024 * 1024;

/// One member; its content, if it is a file, comes from [`Archive::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) path: MemberPath,
    pub(crate) content: Content,
    /// Permission bits, without set-uid and set-gid.
    pub(crate) mode: u32,
    pub(crate) modified: Mtime,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    File { size: u64 },
    Folder,
    Link { text: Vec<u8> },
    HardLink { to: MemberPath },
    Special,
}

/// An archive as it comes in.
pub(crate) struct Archive<R> {
    from: R,
    /// Content of the current member that was not read yet, and the zeros after it.
    left: u64,
    padding: u64,
    members: u64,
    global_seen: bool,
}

/// Why a read failed: the stream, or what it said.
#[derive(Debug)]
pub(crate) enum Fault {
    Stream(io::Error),
    Refused(Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(from: R) -> Self {
        Self {
            from,
            left: 0,
            padding: 0,
            members: 0,
            global_seen: false,
        }
    }

    /// Members so far.
    pub(crate) fn members(&self) -> u64 {
        self.members
    }

    /// The next member, or nothing after the end blocks, which must be there.
    pub(crate) fn next(&mut self) -> Result<Option<Member>, Fault> {
        self.skip()?;
        let mut extensions = Extensions::default();
        loop {
            let Some(block) = self.header()? else {
                if extensions.name.is_some()
                    || extensions.link.is_some()
                    || extensions.pax.is_some()
                {
                    return Err(refuse("end of the archive", "an extension has no member").into());
                }
                return Ok(None);
            };
            let size = number(&block[124..136])
                .ok_or_else(|| refuse(&name_of(&block), "its size is not a number"))?;
            let size = u64::try_from(size)
                .map_err(|_| refuse(&name_of(&block), "its size is negative"))?;
            match block[156] {
                b'L' if extensions.name.is_none() && extensions.pax.is_none() => {
                    extensions.name = Some(self.text(size)?);
                }
                b'K' if extensions.link.is_none() && extensions.pax.is_none() => {
                    extensions.link = Some(self.text(size)?);
                }
                b'x' if extensions.pax.is_none() => {
                    let content = self.extension(size)?;
                    extensions.pax = Some(
                        pax::parse(&content).map_err(|reason| refuse(&name_of(&block), reason))?,
                    );
                }
                b'g' if !self.global_seen && self.members == 0 => {
                    self.global_seen = true;
                    let content = self.extension(size)?;
                    let global =
                        pax::parse(&content).map_err(|reason| refuse(&name_of(&block), reason))?;
                    if global != Pax::default() {
                        return Err(refuse(
                            &name_of(&block),
                            "a global header changes its members",
                        )
                        .into());
                    }
                }
                b'L' | b'K' | b'x' | b'g' => {
                    return Err(refuse(
                        &name_of(&block),
                        "its extension headers contradict one another",
                    )
                    .into());
                }
                _ => {
                    let member = self.member(&block, size, extensions)?;
                    self.members += 1;
                    return Ok(Some(member));
                }
            }
        }
    }

    /// Reads on in the content of the current member; nothing at its end.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let got = self.from.read(&mut into[..room])?;
        if got == 0 {
            return Err(cut());
        }
        self.left -= got as u64;
        Ok(got)
    }

    /// Reads what follows the end blocks, so that the decoder below sees and checks its own end. Only zeros may follow.
    pub(crate) fn finish(mut self) -> Result<u64, Fault> {
        let mut buffer = [0; 8 * BLOCK];
        let mut padding = 0;
        loop {
            match self.from.read(&mut buffer) {
                Ok(0) => return Ok(self.members),
                Ok(got) if buffer[..got].iter().all(|&byte| byte == 0) => {
                    padding += got as u64;
                    if padding > MOST_PADDING {
                        return Err(
                            refuse("end of the archive", "zeros without end follow it").into()
                        );
                    }
                }
                Ok(_) => return Err(refuse("end of the archive", "something follows it").into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn member(
        &mut self,
        block: &[u8; BLOCK],
        size: u64,
        extensions: Extensions,
    ) -> Result<Member, Fault> {
        let pax = extensions.pax.unwrap_or_default();
        if extensions.name.is_some() && pax.path.is_some()
            || extensions.link.is_some() && pax.link.is_some()
        {
            return Err(refuse(&name_of(block), "it has two names").into());
        }
        let name = extensions
            .name
            .or(pax.path)
            .unwrap_or_else(|| name_of(block));
        let path = MemberPath::parse(&name).map_err(|reason| refuse(&name, reason))?;
        let link = extensions
            .link
            .or(pax.link)
            .unwrap_or_else(|| until_zero(&block[157..257]).to_vec());
        let size = match pax.size {
            Some(larger) if size != 0 && size != larger => {
                return Err(refuse(&name, "it has two sizes").into());
            }
            Some(larger) => larger,
            None => size,
        };
        let field = |range: std::ops::Range<usize>, what| {
            number(&block[range]).ok_or_else(|| refuse(&name, what))
        };
        let mode = field(100..108, "its mode is not a number")?;
        let seconds = field(136..148, "its time is not a number")?;
        let content = match block[156] {
            b'0' | 0 | b'7' if name.ends_with(b"/") => {
                return Err(refuse(&name, "it is a file with the name of a folder").into());
            }
            b'0' | 0 | b'7' => Content::File { size },
            b'1' => Content::HardLink {
                to: MemberPath::parse(&link).map_err(|reason| {
                    refuse(&name, &format!("it links to a file, and {reason}"))
                })?,
            },
            b'2' if link.is_empty() || link.len() > LONGEST_LINK || link.contains(&0) => {
                return Err(refuse(&name, "its link leads nowhere").into());
            }
            b'2' => Content::Link { text: link },
            b'3' | b'4' | b'6' => Content::Special,
            b'5' => Content::Folder,
            _ => return Err(refuse(&name, "it is of an unknown kind").into()),
        };
        if !matches!(content, Content::File { .. }) && size != 0 {
            return Err(refuse(&name, "it has content but is not a file").into());
        }
        if matches!(content, Content::File { .. }) && path.is_root() {
            return Err(refuse(&name, "it stands where the folder itself should").into());
        }
        self.expect(size);
        let mode = u32::try_from(mode & 0o1777).unwrap_or_default();
        Ok(Member {
            path,
            content,
            mode,
            modified: pax.modified.unwrap_or(Mtime { seconds, nanos: 0 }),
        })
    }

    /// One header block, or nothing for the first of at least two blocks of zeros.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let block = self.block()?;
        if block.iter().all(|&byte| byte == 0) {
            if self.block()?.iter().any(|&byte| byte != 0) {
                return Err(refuse("end of the archive", "something follows it").into());
            }
            return Ok(None);
        }
        if &block[257..262] != b"ustar" {
            return Err(refuse(&name_of(&block), "its header is not one of tar").into());
        }
        let sum: i64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| i64::from(if (148..156).contains(&at) { b' ' } else { byte }))
            .sum();
        if number(&block[148..156]) != Some(sum) {
            return Err(refuse(&name_of(&block), "its header is damaged").into());
        }
        Ok(Some(block))
    }

    fn block(&mut self) -> io::Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                cut()
            } else {
                error
            }
        })?;
        Ok(block)
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8 * BLOCK];
        while self.left > 0 {
            self.read(&mut buffer)?;
        }
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 {
            self.read(&mut buffer)?;
        }
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        if size > LONGEST_EXTENSION {
            return Err(refuse("an extension header", "it is larger than 64 KiB").into());
        }
        self.expect(size);
        let mut content = Vec::new();
        let mut buffer = [0; 8 * BLOCK];
        while self.left > 0 {
            let got = self.read(&mut buffer)?;
            content.extend_from_slice(&buffer[..got]);
        }
        self.skip()?;
        Ok(content)
    }

    /// A long name: its end is its first zero, and only zeros may follow.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        let mut content = self.extension(size)?;
        let end = until_zero(&content).len();
        if end == 0 || content[end..].iter().any(|&byte| byte != 0) {
            return Err(refuse(&content, "its long name is malformed").into());
        }
        content.truncate(end);
        Ok(content)
    }
}

fn refuse(name: &(impl AsRef<[u8]> + ?Sized), reason: &str) -> Error {
    Error::integrity(
        String::from_utf8_lossy(name.as_ref()).into_owned(),
        format!("the archive is refused: {reason}"),
    )
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends too early")
}
