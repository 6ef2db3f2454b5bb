//! Commands in a VM, as a stream of their output.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::Client;
use super::error::Error;
use super::exec_events::{EventReader, Fault};
use super::request::Request;
use crate::types::Record;
use crate::types::exec::{ExecRequest, ExecResponse, NDJSON};

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
    reader: EventReader,
    /// The answer of a server that answers at once instead of streaming.
    whole: Option<Whole>,
    heard: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Whole {
    /// As far as it has arrived.
    Coming(Vec<u8>),
    /// What is left of its events, last first.
    Events(Vec<Event>),
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
        Ok(ExecStream {
            client: self.clone(),
            response,
            reader: EventReader::default(),
            whole: (!streams).then(|| Whole::Coming(Vec::new())),
            heard: Arc::default(),
        })
    }

    /// Sends a request whose answer may take as long as a command does, and reads one object.
    pub(crate) async fn long_object<T: DeserializeOwned + Default>(
        &self,
        request: &Request,
    ) -> Result<Record<T>, Error> {
        let mut response = self.stream(request).await?;
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.transport(&error))?
        {
            body.extend_from_slice(&chunk);
        }
        self.read_object(&request.what(), &body)
    }

    fn read_object<T: DeserializeOwned + Default>(
        &self,
        what: &str,
        body: &[u8],
    ) -> Result<Record<T>, Error> {
        serde_json::from_slice(body).map_err(|error| self.unexpected(what, &error))
    }
}

fn exec_request(vm: &str, command: &ExecRequest) -> Result<Request, Error> {
    Request::post(["v1", "vms", vm, "exec"])
        .once()
        .json(command)
}

impl ExecStream {
    /// The next event, or an error where the stream ended without its exit event. Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            match &mut self.whole {
                Some(Whole::Events(events)) => return events.pop().ok_or(Error::StreamLost),
                Some(Whole::Coming(_)) => {}
                None => match self.reader.next() {
                    Ok(Some(event)) => return Ok(event),
                    Ok(None) => {}
                    Err(Fault::Cut) => return Err(Error::StreamLost),
                    Err(Fault::Odd(reason)) => return Err(self.client.unexpected("exec", &reason)),
                },
            }
            let chunk = self.response.chunk().await;
            let chunk = chunk.map_err(|_| Error::StreamLost)?;
            let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            self.heard.fetch_add(length, Ordering::Relaxed);
            match (&mut self.whole, chunk) {
                (Some(Whole::Coming(body)), Some(chunk)) => body.extend_from_slice(&chunk),
                (Some(Whole::Coming(body)), None) => {
                    let body = std::mem::take(body);
                    self.whole = Some(Whole::Events(self.whole_answer(&body)?));
                }
                (_, Some(chunk)) => self.reader.feed(&chunk),
                (_, None) if self.reader.end() => {}
                (_, None) => return Err(Error::StreamLost),
            }
        }
    }

    /// Bytes that have arrived, whole events or not.
    pub fn heard(&self) -> Arc<AtomicU64> {
        self.heard.clone()
    }

    /// Returns whether an event is here already, so that there is no need to wait for the next.
    pub fn has_more(&self) -> bool {
        match &self.whole {
            Some(Whole::Events(events)) => !events.is_empty(),
            Some(Whole::Coming(_)) => false,
            None => self.reader.has_more(),
        }
    }

    /// The events of a buffered answer, last first.
    fn whole_answer(&self, body: &[u8]) -> Result<Vec<Event>, Error> {
        let answer = self.client.read_object::<ExecResponse>("exec", body)?.value;
        let ended = Ended {
            code: answer
                .exit_code
                .ok_or_else(|| self.client.unexpected("exec", &"it has no exitCode"))?,
            timed_out: answer.timed_out,
            duration_ms: answer.duration_ms,
            truncated: answer.stdout_truncated || answer.stderr_truncated,
        };
        Ok(vec![
            Event::Exit(ended),
            Event::Stderr(answer.stderr.into_bytes()),
            Event::Stdout(answer.stdout.into_bytes()),
        ])
    }
}
