//! The lines of a running command's answer, put together from whatever pieces the network makes of them.

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Deserialize as _;
use serde_json::Value;

use super::exec::{Event, ExitStatus};
use crate::types::base64;
use crate::types::exec::ExecEvent;

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
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let event = match serde_json::from_slice(line) {
        // serde would take an array, too, member by member.
        Ok(event) if line.starts_with(b"{") => event,
        // A line cut in the middle is a cut stream, not a server that breaks the contract.
        Err(error) if error.is_eof() => return Err(Fault::Cut),
        _ => with_odd_members(line).map_err(|error| Fault::Odd(error.to_string()))?,
    };
    let data = || match event.d.as_deref() {
        Some(text) => base64::decode(text).map_err(|error| Fault::Odd(error.to_string())),
        None => Ok(Vec::new()),
    };
    Ok(match &*event.t {
        "o" => Some(Event::Stdout(data()?)),
        "e" => Some(Event::Stderr(data()?)),
        "x" => Some(Event::Exit(ExitStatus {
            code: event.c.unwrap_or(0),
            timed_out: event.to.unwrap_or(false),
            duration_ms: event.ms,
            truncated: false,
        })),
        _ => None,
    })
}

/// Reads a line whose members do not all fit: those count as absent, but for the code of an exit, which nothing stands for.
fn with_odd_members(line: &[u8]) -> serde_json::Result<ExecEvent<'static>> {
    let event: Value = serde_json::from_slice(line)?;
    let text = |name| event[name].as_str().map(|text| Cow::Owned(text.to_owned()));
    let t = text("t").unwrap_or_default();
    let c = match &*t {
        "x" => Option::deserialize(&event["c"])?,
        _ => None,
    };
    Ok(ExecEvent {
        t,
        d: text("d"),
        c,
        to: event["to"].as_bool(),
        ms: event["ms"].as_i64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the lines say, the code of their exit last.
    fn read(lines: &str) -> Result<Vec<Event>, Fault> {
        let mut reader = EventReader::default();
        reader.feed(lines.as_bytes());
        let mut events = Vec::new();
        while let Some(event) = reader.next()? {
            events.push(event);
        }
        Ok(events)
    }

    #[test]
    fn what_is_odd_beside_a_code_that_is_known_does_not_count() {
        let exit = |code, timed_out, duration_ms| {
            Event::Exit(ExitStatus {
                code,
                timed_out,
                duration_ms,
                truncated: false,
            })
        };
        for (line, event) in [
            (r#"{"t":"x","c":3,"ms":"a"}"#, exit(3, false, None)),
            (r#"{"t":"x","c":3,"ms":1.5,"to":true}"#, exit(3, true, None)),
            (
                r#"{"t":"x","c":3,"ms":7,"to":"no"}"#,
                exit(3, false, Some(7)),
            ),
            (r#"{"t":"x","c":null,"d":5}"#, exit(0, false, None)),
            (r#"{"t":"x","to":[]}"#, exit(0, false, None)),
            (r#"{"t":"o","d":null}"#, Event::Stdout(Vec::new())),
            (r#"{"t":"e","d":7}"#, Event::Stderr(Vec::new())),
            (
                r#"{"t":"o","d":"YQ==","c":"x"}"#,
                Event::Stdout(b"a".to_vec()),
            ),
        ] {
            assert_eq!(read(&format!("{line}\n")), Ok(vec![event]), "{line}");
        }
    }

    #[test]
    fn lines_that_are_no_event_say_nothing() {
        for line in [
            "null",
            "[]",
            r#"["x"]"#,
            "5",
            r#""x""#,
            "{}",
            r#"{"t":5}"#,
            r#"{"t":"z","c":"a"}"#,
        ] {
            let lines = format!("{line}\n{}\n", r#"{"t":"x","c":4}"#);
            let events = read(&lines).unwrap();
            assert!(
                matches!(events[..], [Event::Exit(ExitStatus { code: 4, .. })]),
                "{line}"
            );
        }
    }

    #[test]
    fn what_leaves_output_or_code_unknown_is_a_fault() {
        for line in [
            r#"{"t":"x","c":"a"}"#,
            r#"{"t":"x","c":1.5}"#,
            r#"{"t":"o","d":"!"}"#,
            "hello",
        ] {
            let fault = read(&format!("{line}\n")).unwrap_err();
            assert!(matches!(fault, Fault::Odd(_)), "{line}");
        }
        assert_eq!(read("{\"t\":\"x\",\n"), Err(Fault::Cut));
    }
}
