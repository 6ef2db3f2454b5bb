//! Bringing a copy into its place in parts.

use super::put::{FileMode, Object, done, octal, text};
use super::{Call, Deadline, SMALL_OUTPUT};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;

/// Makes a folder that is not there, with this mode, and the stage for the parts; removes the stages of earlier copies.
pub(crate) async fn begin(
    guest: &impl Guest,
    path: &str,
    stage: &str,
    mode: Option<u32>,
    old: &[String],
) -> Result<(), Error> {
    let script = concat!(include_str!("base.sh"), include_str!("begin.sh"));
    let mut arguments = vec![path.to_owned(), stage.to_owned(), octal(mode)];
    arguments.extend_from_slice(old);
    let call = Call {
        script,
        arguments,
        stdin: Vec::new(),
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Brief,
        action: "make room for the copy",
        path,
    };
    done(&call.run(guest).await?.stdout)
}

/// Questions about paths in the VM, as `upload` writes them.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) folder: &'a str,
    pub(crate) stage: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) codec: Codec,
    /// Of the questions, when the codec has none.
    pub(crate) sum: Option<u32>,
    pub(crate) object: Object,
    pub(crate) output_limit: usize,
}

/// Asks; returns what the questions print.
pub(crate) async fn ask(guest: &impl Guest, ask: Ask<'_>) -> Result<Vec<u8>, Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("ask.sh")
    );
    let call = Call {
        script,
        arguments: vec![
            ask.folder.to_owned(),
            ask.stage.to_owned(),
            ask.nonce.to_owned(),
            ask.codec.name().to_owned(),
            text(ask.sum),
            ask.object.word(),
        ],
        stdin: ask.object.stdin()?,
        output_limit: ask.output_limit.saturating_add(SMALL_OUTPUT),
        deadline: Deadline::Transfer,
        action: "look at what is there",
        path: ask.folder,
    };
    let mut answer = call.run(guest).await?.stdout;
    let length = answer.len().saturating_sub(4);
    done(&answer[length..])?;
    answer.truncate(length);
    Ok(answer)
}

/// A part of a file.
#[derive(Debug)]
pub(crate) struct PutRange<'a> {
    /// The file that is put together.
    pub(crate) temp: &'a str,
    /// Where the part begins, in blocks of 64 KiB.
    pub(crate) block: u64,
    pub(crate) size: u64,
    pub(crate) sum: Option<u32>,
    pub(crate) codec: Codec,
    pub(crate) object: Object,
    /// What it is of, for messages.
    pub(crate) path: &'a str,
}

/// Writes a part of a file, checked.
pub(crate) async fn put_range(guest: &impl Guest, range: PutRange<'_>) -> Result<(), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("object.sh"),
        include_str!("put_range.sh")
    );
    let call = Call {
        script,
        arguments: vec![
            range.temp.to_owned(),
            range.block.to_string(),
            range.size.to_string(),
            text(range.sum),
            range.codec.name().to_owned(),
            range.object.word(),
        ],
        stdin: range.object.stdin()?,
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Transfer,
        action: "write a part of the file",
        path: range.path,
    };
    done(&call.run(guest).await?.stdout)
}

/// A file whose parts have all arrived.
#[derive(Debug)]
pub(crate) struct FinishFile<'a> {
    /// Absolute; names are below it.
    pub(crate) folder: &'a str,
    pub(crate) temp: &'a str,
    pub(crate) size: u64,
    pub(crate) parts: u64,
    pub(crate) mode: FileMode,
    pub(crate) modified: Mtime,
    /// Its names as words of shell.
    pub(crate) names: Vec<u8>,
}

/// Puts a file together and in place.
pub(crate) async fn finish_file(guest: &impl Guest, file: FinishFile<'_>) -> Result<(), Error> {
    let script = concat!(
        include_str!("base.sh"),
        include_str!("follow.sh"),
        include_str!("permit.sh"),
        include_str!("finish_file.sh")
    );
    let call = Call {
        script,
        arguments: vec![
            file.folder.to_owned(),
            file.temp.to_owned(),
            file.size.to_string(),
            file.parts.to_string(),
            file.mode.word(),
            file.modified.to_string(),
        ],
        stdin: file.names,
        output_limit: SMALL_OUTPUT,
        deadline: Deadline::Transfer,
        action: "put the file in place",
        path: file.folder,
    };
    done(&call.run(guest).await?.stdout)
}
