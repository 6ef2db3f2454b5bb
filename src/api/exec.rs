//! Commands in a VM, as a stream of their output.

use bytes::{Buf as _, Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::error::Error;
use super::request::Request;
use crate::wire::base64;
use crate::wire::exec::{ExecEvent, ExecRequest, ExecResponse, NDJSON};

/// The longest line of a stream that is read, in bytes.
const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// What a running command says.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// Always last.
    Exit(Ended),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub timed_out: bool,
    pub duration_ms: Option<i64>,
    /// A server that cannot stream dropped what was over its limit.
    pub truncated: bool,
}

/// The output of one command. Dropping it closes the connection.
#[derive(Debug)]
pub struct ExecStream {
    client: Client,
    response: Response,
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line end.
    scanned: usize,
    /// Events of a server that answered at once instead of streaming, last first.
    buffered: Option<Vec<Event>>,
}

impl Client {
    /// Runs a command, once, and returns its output as it comes. There is no time limit here.
    pub async fn exec(&self, vm: &str, command: &ExecRequest) -> Result<ExecStream, Error> {
        let mut request = exec_request(vm, command)?;
        request.accept = NDJSON;
        let response = self.stream(&request).await?;
        let streams = !response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let (client, buffer) = (self.clone(), BytesMut::new());
        let mut stream = ExecStream {
            client,
            response,
            buffer,
            scanned: 0,
            buffered: None,
        };
        if !streams {
            stream.buffered = Some(stream.whole_answer().await?);
        }
        Ok(stream)
    }

    /// Sends a request whose answer may take as long as a command does, and reads one object.
    pub(crate) async fn long_object<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, Error> {
        let mut response = self.stream(request).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.transport(&error))?
        {
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| self.unexpected(&request.what(), &error))
    }
}

fn exec_request(vm: &str, command: &ExecRequest) -> Result<Request, Error> {
    Request::post(["v1", "vms", vm, "exec"])
        .once()
        .json(command)
}

impl ExecStream {
    /// The next event, or an error where the stream ended without its exit event.
    pub async fn next(&mut self) -> Result<Event, Error> {
        if let Some(events) = &mut self.buffered {
            return events.pop().ok_or(Error::StreamLost);
        }
        loop {
            if let Some(line) = self.line() {
                if let Some(event) = self.event(&line)? {
                    return Ok(event);
                }
                continue;
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(self.client.unexpected("exec", &"a line is too long"));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                // A last line counts without its line end too.
                Ok(None) if !self.buffer.is_empty() => self.buffer.extend_from_slice(b"\n"),
                Ok(None) | Err(_) => return Err(Error::StreamLost),
            }
        }
    }

    /// Whether an event is here already, so that there is no need to wait for the next.
    pub fn has_more(&self) -> bool {
        match &self.buffered {
            Some(events) => !events.is_empty(),
            None => memchr::memchr(b'\n', &self.buffer[self.scanned..]).is_some(),
        }
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

    /// Reads one line; lines without a known kind say nothing.
    fn event(&self, line: &[u8]) -> Result<Option<Event>, Error> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let event: ExecEvent<'_> = match serde_json::from_slice(line) {
            Ok(event) => event,
            // A line cut in the middle is a cut stream, not a server that breaks the contract.
            Err(error) if error.is_eof() => return Err(Error::StreamLost),
            Err(_) if is_of_unknown_kind(line) => return Ok(None),
            Err(error) => return Err(self.client.unexpected("exec", &error)),
        };
        let data = || match event.d.as_deref() {
            Some(text) => {
                base64::decode(text).map_err(|error| self.client.unexpected("exec", &error))
            }
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

    /// The events of a buffered answer, last first.
    async fn whole_answer(&mut self) -> Result<Vec<Event>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.response.chunk().await.map_err(|_| Error::StreamLost)? {
            body.extend_from_slice(&chunk);
        }
        let answer: ExecResponse = serde_json::from_slice(&body)
            .map_err(|error| self.client.unexpected("exec", &error))?;
        let ended = Ended {
            code: answer.exit_code,
            timed_out: answer.timed_out,
            duration_ms: Some(answer.duration_ms),
            truncated: answer.stdout_truncated || answer.stderr_truncated,
        };
        Ok(vec![
            Event::Exit(ended),
            Event::Stderr(answer.stderr.into_bytes()),
            Event::Stdout(answer.stdout.into_bytes()),
        ])
    }
}

/// Whether a line that does not fit the known events is one of another kind.
fn is_of_unknown_kind(line: &[u8]) -> bool {
    let event: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    event["t"]
        .as_str()
        .is_some_and(|kind| !["o", "e", "x"].contains(&kind))
}
