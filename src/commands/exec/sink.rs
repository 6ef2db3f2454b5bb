//! Where a command's output goes: straight on, or into one JSON object, or out as events.

use std::sync::Arc;

use serde::Serialize;

use crate::api::exec::Ended;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::{Format, Talk, Ui};
use crate::wire::base64;

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

/// The end of a command as one object: the fields of the API's buffered answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    exit_code: i32,
    stdout: String,
    stderr: String,
    timed_out: bool,
    stdout_truncated: bool,
    stderr_truncated: bool,
    duration_ms: Option<i64>,
    /// `base64` where either stream is not UTF-8; both are encoded then.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Serialize)]
struct OutputEvent<'a> {
    t: &'a str,
    d: &'a str,
}

#[derive(Serialize)]
struct ExitEvent {
    t: &'static str,
    c: i32,
    to: bool,
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
    pub(crate) fn talk(&self) -> Arc<Talk> {
        self.ui.talk()
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.shape {
            Shape::Raw => self.at_once(bytes),
            Shape::Object { stdout, .. } => {
                stdout.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Events => self.line(&OutputEvent {
                t: "o",
                d: &base64::encode(bytes),
            }),
        }
    }

    pub(crate) fn stderr(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.shape {
            Shape::Raw => {
                let written = self.ui.talk().bytes(bytes);
                written.map_err(|error| {
                    Error::new(Kind::LocalIo, format!("cannot write to stderr: {error}"))
                })
            }
            Shape::Object { stderr, .. } => {
                stderr.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Events => self.line(&OutputEvent {
                t: "e",
                d: &base64::encode(bytes),
            }),
        }
    }

    /// Prints what the shape prints at the end.
    pub(crate) fn end(mut self, ended: Ended) -> Result<(), Error> {
        match std::mem::replace(&mut self.shape, Shape::Events) {
            Shape::Raw => Ok(()),
            Shape::Events => self.line(&ExitEvent {
                t: "x",
                c: ended.code,
                to: ended.timed_out,
                ms: ended.duration_ms,
            }),
            Shape::Object { stdout, stderr } => {
                let json = serde_json::value::to_raw_value(&whole(stdout, stderr, ended))
                    .map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
                Ok(self.ui.raw_json(&json)?)
            }
        }
    }

    fn line(&mut self, event: &impl Serialize) -> Result<(), Error> {
        let mut line = serde_json::to_vec(event)
            .map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
        line.push(b'\n');
        self.at_once(&line)
    }

    /// Nobody waits for a buffer to fill: each piece goes out when it comes.
    fn at_once(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.ui.bytes(bytes)?;
        Ok(self.ui.flush()?)
    }
}

fn whole(stdout: Vec<u8>, stderr: Vec<u8>, ended: Ended) -> Whole {
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
