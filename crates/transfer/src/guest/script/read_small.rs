//! What a source in the VM is, and a small file whole.

use super::probe::{Kind, Tools, absolute, kind};
use super::put::text;
use super::reply::{Reply, broken};
use super::send::Status;
use super::{Call, Deadline, SMALL_OUTPUT};
use crate::error::Error;
use crate::guest::remote::Guest;

/// What a source is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A file that came along.
    Inline(Inline),
    /// A larger file.
    File {
        path: String,
        status: Status,
        tools: Tools,
    },
    Folder {
        path: String,
        tools: Tools,
        /// It was found to be more than was asked about.
        large: bool,
    },
    /// Neither.
    Other,
}

/// A small file.
#[derive(Clone, Debug)]
pub(crate) struct Inline {
    pub(crate) bytes: Vec<u8>,
    /// Before and after it was read.
    pub(crate) before: Status,
    pub(crate) after: Status,
    pub(crate) sum: Option<u32>,
}

/// Looks at a source; a file of at most `limit` bytes comes with the answer. Of a folder it can tell whether it is more than `most`.
pub(crate) async fn read_small(
    guest: &impl Guest,
    path: &str,
    limit: u64,
    most: Option<u64>,
) -> Result<Found, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("status.sh"),
        include_str!("tools.sh"),
        include_str!("read_small.sh")
    );
    let arguments = vec![path.to_owned(), limit.to_string(), text(most)];
    let output_limit = SMALL_OUTPUT + usize::try_from(limit).unwrap_or(usize::MAX / 2);
    let call = Call {
        script,
        arguments,
        stdin: Vec::new(),
        output_limit,
        deadline: Deadline::Transfer,
        action: "read the file",
        path,
    };
    let output = call.ask(guest).await?;
    let (answer, end) = Reply::read(&output.stdout, &["data", "path"])?;
    if end == "data" {
        return inline(&answer, limit).map(Found::Inline);
    }
    let tools = Tools::read(&answer)?;
    Ok(match kind(answer.get("kind")?)? {
        Kind::Folder => Found::Folder {
            path: absolute(answer.rest)?,
            tools,
            large: answer.get("large").is_ok(),
        },
        Kind::File => Found::File {
            path: absolute(answer.rest)?,
            status: Status::read(answer.get("status")?)?,
            tools,
        },
        Kind::Other | Kind::Missing => Found::Other,
    })
}

fn inline(answer: &Reply<'_>, limit: u64) -> Result<Inline, Error> {
    let before = Status::read(answer.get("status")?)?;
    // What shrank has its trailer earlier; then the numbers below don't fit, and the caller asks again.
    let size = usize::try_from(before.size.min(limit))
        .map_err(|_| broken())?
        .min(answer.rest.len());
    let (bytes, trailer) = answer.rest.split_at(size);
    let Some(trailer) = trailer.strip_prefix(b"\n") else {
        let changed = Status { size: 0, ..before };
        return Ok(Inline {
            bytes: Vec::new(),
            before,
            after: changed,
            sum: None,
        });
    };
    let (trailer, _) = Reply::read(trailer, &[""])?;
    Ok(Inline {
        bytes: bytes.to_vec(),
        before,
        after: Status::read(trailer.get("after")?)?,
        sum: trailer.get("sum")?.parse().ok(),
    })
}
