//! Where a command's output goes: straight on, or into one JSON object, or out as events.

use std::sync::Arc;

use serde::Serialize;

use super::Output;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::{Format, Messages, StdoutWriter, Ui};
use fastvm_api::exec::ExitStatus;
use fastvm_api::types::base64;

/// Takes the output of one command.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    ui: &'a mut Ui,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    /// Bytes as they come.
    Raw,
    /// One object at the end, with everything.
    Object { stdout: Vec<u8>, stderr: Vec<u8> },
    /// One event a line, as on the wire.
    Events,
}

/// The VM of an event or an object, where several run.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Whose<'a> {
    pub(super) vm: &'a str,
    pub(super) vm_id: &'a str,
}

/// The end of a command as one object: the fields of the API's buffered answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    whose: Option<Whose<'a>>,
    exit_code: i32,
    stdout: String,
    stderr: String,
    timed_out: bool,
    stdout_truncated: bool,
    stderr_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    /// `base64` where either stream is not UTF-8; both are encoded then.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Serialize)]
struct OutputEvent<'a> {
    #[serde(flatten)]
    whose: Option<Whose<'a>>,
    t: &'a str,
    d: &'a str,
}

#[derive(Serialize)]
struct ExitEvent<'a> {
    #[serde(flatten)]
    whose: Option<Whose<'a>>,
    t: &'static str,
    c: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<i64>,
}

impl<'a> Sink<'a> {
    /// A sink of the shape that `--output` and `--jq` ask for.
    pub(crate) fn new(context: &'a mut Context) -> Self {
        let settings = context.ui.settings();
        let shape = match settings.format {
            _ if settings.jq.is_some() => Shape::Object {
                stdout: Vec::new(),
                stderr: Vec::new(),
            },
            Some(Format::Json | Format::Yaml) => Shape::Object {
                stdout: Vec::new(),
                stderr: Vec::new(),
            },
            Some(Format::Jsonl) => Shape::Events,
            _ => Shape::Raw,
        };
        Self {
            ui: &mut context.ui,
            shape,
        }
    }

    /// The voice on stderr, for what is said once the sink is gone.
    pub(crate) fn messages(&self) -> Arc<Messages> {
        self.ui.messages()
    }

    /// Puts a thread between what is printed and who reads it.
    pub(crate) fn writer(&mut self) -> Result<StdoutWriter, Error> {
        StdoutWriter::open(self.ui)
    }

    /// Waits until all is written that was printed.
    pub(crate) async fn close(&mut self, writer: StdoutWriter) -> Result<(), Error> {
        writer.close(self.ui).await
    }

    /// Prints what the shape prints at the end.
    pub(crate) fn end(&mut self, ended: ExitStatus) -> Result<(), Error> {
        match std::mem::replace(&mut self.shape, Shape::Events) {
            Shape::Raw => Ok(()),
            Shape::Events => Ok(self.ui.bytes(&exit_event(None, ended)?)?),
            Shape::Object { stdout, stderr } => {
                let json = serde_json::value::to_raw_value(&whole(None, stdout, stderr, ended))
                    .map_err(unwritable)?;
                Ok(self.ui.raw_json(&json)?)
            }
        }
    }
}

impl Output for Sink<'_> {
    fn stdout(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.shape {
            Shape::Raw => Ok(self.ui.bytes(bytes)?),
            Shape::Object { stdout, .. } => {
                stdout.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Events => Ok(self.ui.bytes(&output_event(None, "o", bytes)?)?),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        match &self.shape {
            Shape::Object { .. } => Ok(()),
            Shape::Raw | Shape::Events => Ok(self.ui.flush()?),
        }
    }

    fn stderr(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.shape {
            Shape::Raw => {
                // On a terminal both streams are one, so their order shows.
                self.ui.flush()?;
                let written = self.ui.messages().bytes(bytes);
                written.map_err(|error| {
                    Error::new(Kind::LocalIo, format!("cannot write to stderr: {error}"))
                })
            }
            Shape::Object { stderr, .. } => {
                stderr.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Events => Ok(self.ui.bytes(&output_event(None, "e", bytes)?)?),
        }
    }
}

/// One event of output as a line of JSON.
pub(super) fn output_event(
    whose: Option<Whose<'_>>,
    t: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    let d = &base64::encode(bytes);
    line(&OutputEvent { whose, t, d })
}

/// The last event of a command as a line of JSON.
pub(super) fn exit_event(whose: Option<Whose<'_>>, ended: ExitStatus) -> Result<Vec<u8>, Error> {
    line(&ExitEvent {
        whose,
        t: "x",
        c: ended.code,
        to: ended.timed_out.then_some(true),
        ms: ended.duration_ms,
    })
}

pub(super) fn line(event: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(event).map_err(unwritable)?;
    line.push(b'\n');
    Ok(line)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is handed to map_err, which gives the error away"
)]
pub(super) fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Kind::LocalIo, error.to_string())
}

/// All of a command in one object.
pub(super) fn whole(
    whose: Option<Whose<'_>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: ExitStatus,
) -> Whole<'_> {
    let (stdout, stderr, encoding) = match (String::from_utf8(stdout), String::from_utf8(stderr)) {
        (Ok(stdout), Ok(stderr)) => (stdout, stderr, None),
        (stdout, stderr) => {
            let encoded = |text: Result<String, std::string::FromUtf8Error>| match text {
                Ok(text) => base64::encode(text.as_bytes()),
                Err(error) => base64::encode(error.as_bytes()),
            };
            (encoded(stdout), encoded(stderr), Some("base64"))
        }
    };
    Whole {
        whose,
        exit_code: ended.code,
        stdout,
        stderr,
        timed_out: ended.timed_out,
        stdout_truncated: ended.truncated,
        stderr_truncated: ended.truncated,
        duration_ms: ended.duration_ms,
        encoding,
    }
}
