//! The lines of a running command's answer, put together from whatever pieces the network makes of them.

use bytes::{Buf as _, Bytes, BytesMut};

use super::exec::{Ended, Event};
use crate::wire::base64;
use crate::wire::exec::ExecEvent;

/// The longest line of a stream that is read, in bytes.
const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// Pieces in, events out.
#[derive(Debug, Default)]
pub(crate) struct EventReader {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line end.
    scanned: usize,
}

/// Why a stream cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was cut in the middle of a line.
    Cut,
    /// It says something that the contract does not know.
    Odd(String),
}

impl EventReader {
    /// Takes the next piece of the stream.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Takes the end of the stream: a last line counts without its line end too. Whether there was one.
    pub(crate) fn end(&mut self) -> bool {
        let has_more = !self.buffer.is_empty();
        if has_more {
            self.buffer.extend_from_slice(b"\n");
        }
        has_more
    }

    /// The next event, or `None` if a further piece is needed for it.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Fault> {
        while let Some(line) = self.line() {
            if let Some(event) = event(&line)? {
                return Ok(Some(event));
            }
        }
        if self.buffer.len() > LONGEST_LINE {
            return Err(Fault::Odd("a line is too long".to_owned()));
        }
        Ok(None)
    }

    /// Returns whether a whole line is here already.
    pub(crate) fn has_more(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.scanned..]).is_some()
    }

    /// Takes one line out of the buffer.
    fn line(&mut self) -> Option<Bytes> {
        let Some(end) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.scanned + end).freeze();
        self.buffer.advance(1);
        self.scanned = 0;
        Some(line)
    }
}

/// Reads one line; lines without a known kind say nothing.
fn event(line: &[u8]) -> Result<Option<Event>, Fault> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let event: ExecEvent<'_> = match serde_json::from_slice(line) {
        Ok(event) => event,
        // A line cut in the middle is a cut stream, not a server that breaks the contract.
        Err(error) if error.is_eof() => return Err(Fault::Cut),
        Err(_) if is_of_unknown_kind(line) => return Ok(None),
        Err(error) => return Err(Fault::Odd(error.to_string())),
    };
    let data = || match event.d.as_deref() {
        Some(text) => base64::decode(text).map_err(|error| Fault::Odd(error.to_string())),
        None => Ok(Vec::new()),
    };
    Ok(match &*event.t {
        "o" => Some(Event::Stdout(data()?)),
        "e" => Some(Event::Stderr(data()?)),
        "x" => Some(Event::Exit(Ended {
            code: event.c.unwrap_or(0),
            timed_out: event.to.unwrap_or(false),
            duration_ms: event.ms,
            truncated: false,
        })),
        _ => None,
    })
}

/// Returns whether a line that does not fit the known events is one of another kind.
fn is_of_unknown_kind(line: &[u8]) -> bool {
    let event: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    event["t"]
        .as_str()
        .is_some_and(|kind| !["o", "e", "x"].contains(&kind))
}
