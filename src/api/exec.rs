//! Commands in a VM, as a stream of their output.

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::error::Error;
use super::exec_events::{EventReader, Fault};
use super::request::Request;
use crate::wire::exec::{ExecRequest, ExecResponse, NDJSON};

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
        let mut stream = ExecStream {
            client: self.clone(),
            response,
            reader: EventReader::default(),
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
            match self.reader.next() {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(Fault::Cut) => return Err(Error::StreamLost),
                Err(Fault::Odd(reason)) => return Err(self.client.unexpected("exec", &reason)),
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.reader.feed(&chunk),
                Ok(None) if self.reader.end() => {}
                Ok(None) | Err(_) => return Err(Error::StreamLost),
            }
        }
    }

    /// Whether an event is here already, so that there is no need to wait for the next.
    pub fn has_more(&self) -> bool {
        match &self.buffered {
            Some(events) => !events.is_empty(),
            None => self.reader.has_more(),
        }
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
