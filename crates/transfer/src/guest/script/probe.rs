//! What is at a path in the VM, and what the VM has.

use super::reply::{Reply, broken};
use super::{Call, Deadline, SMALL_OUTPUT};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::header::TarDialect;
use crate::guest::guest_path;
use crate::guest::remote::Guest;
use crate::options::Compression;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Other,
    Missing,
}

/// Programs the VM has.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    names: Vec<String>,
    pub(crate) dialect: TarDialect,
}

/// A target in the VM.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// Absolute.
    pub(crate) path: String,
    /// Free bytes on its file system, if the VM can tell.
    pub(crate) free_bytes: Option<u64>,
    pub(crate) tools: Tools,
}

impl Tools {
    pub(crate) fn has(&self, tool: &str) -> bool {
        self.names.iter().any(|name| name == tool)
    }

    pub(crate) fn need(&self, tools: &[&'static str]) -> Result<(), Error> {
        tools
            .iter()
            .find(|tool| !self.has(tool))
            .map_or(Ok(()), |tool| Err(Error::GuestTool(tool)))
    }

    /// What another VM has as well.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let names = self.names.iter().filter(|name| other.has(name));
        Self {
            names: names.cloned().collect(),
            dialect: self.dialect,
        }
    }

    /// The codec to use. Without one, a checksum must do.
    pub(crate) fn codec(&self, wish: Compression) -> Result<Codec, Error> {
        let codec = match wish {
            Compression::Auto if self.has("zstd") => Codec::Zstd,
            Compression::Auto if self.has("gzip") => Codec::Gzip,
            Compression::Zstd => {
                self.need(&["zstd"])?;
                Codec::Zstd
            }
            Compression::Gzip => {
                self.need(&["gzip"])?;
                Codec::Gzip
            }
            Compression::Auto | Compression::None => {
                self.need(&["cksum"])?;
                Codec::None
            }
        };
        Ok(codec)
    }

    pub(super) fn read(answer: &Reply<'_>) -> Result<Self, Error> {
        let dialect = if answer.get("flavor")? == "gnu" {
            TarDialect::Gnu
        } else {
            TarDialect::Plain
        };
        Ok(Self {
            names: answer
                .get("tools")?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            dialect,
        })
    }
}

/// Looks at a target.
pub(crate) async fn probe(guest: &impl Guest, path: &str) -> Result<Place, Error> {
    ask(guest, path, Lone::No).await
}

/// Looks at the target of one file, unless it goes `into` that: a link to a file is followed.
pub(crate) async fn probe_for_file(
    guest: &impl Guest,
    path: &str,
    into: bool,
) -> Result<Place, Error> {
    ask(guest, path, if into { Lone::No } else { Lone::Yes }).await
}

/// Whether a path is to become one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lone {
    Yes,
    No,
}

async fn ask(guest: &impl Guest, path: &str, lone: Lone) -> Result<Place, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("tools.sh"),
        include_str!("follow.sh"),
        include_str!("probe.sh")
    );
    let call = Call {
        script,
        arguments: vec![u8::from(lone == Lone::Yes).to_string(), path.to_owned()],
        stdin: Vec::new(),
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Brief,
        action: "look at the target",
        path,
    };
    let output = call.ask(guest).await?;
    let (answer, _) = Reply::read(&output.stdout, &["path"])?;
    Ok(Place {
        kind: kind(answer.get("kind")?)?,
        path: absolute(answer.rest)?,
        free_bytes: answer
            .get("space")?
            .parse::<u64>()
            .ok()
            .map(|kib| kib.saturating_mul(1024)),
        tools: Tools::read(&answer)?,
    })
}

pub(super) fn kind(word: &str) -> Result<Kind, Error> {
    Ok(match word {
        "file" => Kind::File,
        "folder" => Kind::Folder,
        "other" => Kind::Other,
        "missing" => Kind::Missing,
        _ => return Err(broken()),
    })
}

/// The path that the script made absolute.
pub(super) fn absolute(bytes: &[u8]) -> Result<String, Error> {
    let text = guest_path::text(bytes);
    if !text.starts_with('/') || text.contains('\0') {
        return Err(broken());
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}
