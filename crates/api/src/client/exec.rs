//! Commands in a VM, as a stream of their output.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, future};
use reqwest::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::Client;
use super::error::Error;
use super::exec_events::{EventReader, Fault};
use super::request::Request;
use crate::types::Record;
use crate::types::exec::{ExecRequest, ExecResponse, NDJSON};

/// What a running command says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece of its standard output.
    Stdout(Vec<u8>),
    /// A piece of its standard error.
    Stderr(Vec<u8>),
    /// It has ended. Always last.
    Exit(ExitStatus),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    /// Its exit code; without meaning if it timed out.
    pub code: i32,
    /// The server ended it at its time limit.
    pub timed_out: bool,
    /// How long it ran, if the server says so.
    pub duration_ms: Option<i64>,
    /// A server that cannot stream dropped what was over its limit.
    pub truncated: bool,
}

impl ExitStatus {
    /// Returns whether the command ended by itself, with code 0.
    pub fn is_success(&self) -> bool {
        self.code == 0 && !self.timed_out
    }
}

/// All that a command has said, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

/// The output of one command, as it comes. Dropping it closes the connection.
///
/// As a [`Stream`] it ends after [`Event::Exit`], or after the first error. A stream that ends without its exit event
/// yields [`Error::StreamLost`] first, so the end of the stream is never taken for that of the command.
pub struct ExecStream {
    client: Client,
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send + Sync>>,
    state: State,
    received: Arc<AtomicU64>,
}

enum State {
    /// The answer streams.
    Streaming(EventReader),
    /// The answer of a server that answers at once, as far as it has arrived.
    Buffered(Vec<u8>),
    /// What is left of the events of such an answer, last first.
    Rest(Vec<Event>),
    /// There was an exit or an error.
    Over,
}

impl Client {
    /// Runs a command, once, and returns its output as it comes. There is no time limit here.
    ///
    /// ```
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// # #[cfg(target_os = "linux")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = fastvm_testing::TestEngine::start()?;
    /// # let client = fastvm_api::Client::builder(engine.url()).api_key(engine.key().clone()).build()?;
    /// # let launch = fastvm_api::types::vm::LaunchRequest::of_type("c1m2");
    /// # let vm = client.launch_vm(&launch).await?.value;
    /// # client.wait_until_running(&vm.id, Default::default()).await?.ready()?;
    /// use fastvm_api::exec::Event;
    /// use fastvm_api::types::exec::ExecRequest;
    ///
    /// let command = ExecRequest::new(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    /// let mut stream = client.exec(&vm.id, &command).await?;
    /// let (mut out, mut code) = (Vec::new(), None);
    /// while let Some(event) = stream.next().await {
    ///     match event? {
    ///         Event::Stdout(bytes) => out.extend(bytes),
    ///         Event::Stderr(_) => {}
    ///         Event::Exit(status) => code = Some(status.code),
    ///     }
    /// }
    /// assert_eq!((out.as_slice(), code), (&b"out\n"[..], Some(3)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The VM is not there or does not run, the request is not valid, or a failure of the connection. A command that
    /// fails is no error: see [`ExitStatus`].
    pub async fn exec(&self, vm: &str, command: &ExecRequest) -> Result<ExecStream, Error> {
        let mut request = Request::post(["v1", "vms", vm, "exec"])
            .once()
            .json(command)?;
        request.accept = NDJSON;
        let response = self.stream(&request).await?;
        let is_buffered = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        Ok(ExecStream {
            client: self.clone(),
            body: Box::pin(response.bytes_stream()),
            state: match is_buffered {
                true => State::Buffered(Vec::new()),
                false => State::Streaming(EventReader::default()),
            },
            received: Arc::default(),
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
            .map_err(|error| self.transport(error))?
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
        serde_json::from_slice(body).map_err(|error| self.unreadable(what, error))
    }
}

impl ExecStream {
    /// Returns the next event, or `None` after the last.
    ///
    /// Cancel-safe: what has arrived when the future is dropped comes with the next call.
    ///
    /// # Errors
    /// [`Error::StreamLost`] if the stream ended without its exit event, [`Error::Unexpected`] if it cannot be read.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        future::poll_fn(|context| self.poll_event(context)).await
    }

    /// As [`ExecStream::next`], for a caller that stops at [`Event::Exit`]. Cancel-safe.
    ///
    /// # Errors
    /// As [`ExecStream::next`]; [`Error::StreamLost`] after the last event too.
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        let event = self.next().await;
        event.unwrap_or_else(|| Err(Error::lost()))
    }

    /// Collects all output until the command ends. All of it is held in memory.
    ///
    /// Not cancel-safe: dropping the future closes the connection, and what was read is gone.
    ///
    /// # Errors
    /// As [`ExecStream::next`].
    pub async fn output(self) -> Result<Output, Error> {
        self.output_up_to(usize::MAX).await
    }

    /// As [`ExecStream::output`], of a VM that is not trusted to say no more than `limit` bytes.
    ///
    /// # Errors
    /// As [`ExecStream::next`]; [`Error::Unexpected`] if there is more.
    pub async fn output_up_to(mut self, limit: usize) -> Result<Output, Error> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.next_event().await? {
                Event::Stdout(bytes) => stdout.extend(bytes),
                Event::Stderr(bytes) => stderr.extend(bytes),
                Event::Exit(status) => {
                    return Ok(Output {
                        stdout,
                        stderr,
                        status,
                    });
                }
            }
            if stdout.len() + stderr.len() > limit {
                let reason = format!("the command printed more than {limit} bytes");
                return Err(self.client.unexpected("exec", &reason));
            }
        }
    }

    /// Returns the number of bytes that have arrived, whole events or not. It counts on while another task reads.
    pub fn bytes_received(&self) -> Arc<AtomicU64> {
        self.received.clone()
    }

    /// Returns whether an event is here already, so that there is no need to wait for the next.
    pub fn has_buffered_event(&self) -> bool {
        match &self.state {
            State::Streaming(reader) => reader.has_more(),
            State::Rest(events) => !events.is_empty(),
            State::Buffered(_) | State::Over => false,
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let event = loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Rest(events) => break events.pop().ok_or_else(Error::lost),
                State::Buffered(_) => {}
                State::Streaming(reader) => match reader.next() {
                    Ok(Some(event)) => break Ok(event),
                    Ok(None) => {}
                    Err(Fault::Cut) => break Err(Error::lost()),
                    Err(Fault::Odd(reason)) => break Err(self.client.unexpected("exec", &reason)),
                },
            }
            let chunk = match ready!(self.body.as_mut().poll_next(context)).transpose() {
                Ok(chunk) => chunk,
                Err(error) => break Err(Error::lost().caused_by(error.without_url())),
            };
            if let Err(error) = self.take(chunk) {
                break Err(error);
            }
        };
        if !matches!(event, Ok(Event::Stdout(_) | Event::Stderr(_))) {
            self.state = State::Over;
        }
        Poll::Ready(Some(event))
    }

    /// Takes the next piece of the answer, or its end.
    fn take(&mut self, chunk: Option<Bytes>) -> Result<(), Error> {
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.received.fetch_add(length, Ordering::Relaxed);
        match (&mut self.state, chunk) {
            (State::Buffered(body), Some(chunk)) => body.extend_from_slice(&chunk),
            (State::Buffered(body), None) => {
                let body = std::mem::take(body);
                self.state = State::Rest(self.events(&body)?);
            }
            (State::Streaming(reader), Some(chunk)) => reader.feed(&chunk),
            (State::Streaming(reader), None) => {
                return reader.end().then_some(()).ok_or_else(Error::lost);
            }
            (State::Rest(_) | State::Over, _) => {}
        }
        Ok(())
    }

    /// The events of a buffered answer, last first.
    fn events(&self, body: &[u8]) -> Result<Vec<Event>, Error> {
        let answer = self.client.read_object::<ExecResponse>("exec", body)?.value;
        let status = ExitStatus {
            code: answer
                .exit_code
                .ok_or_else(|| self.client.unexpected("exec", &"it has no exitCode"))?,
            timed_out: answer.timed_out,
            duration_ms: answer.duration_ms,
            truncated: answer.stdout_truncated || answer.stderr_truncated,
        };
        Ok(vec![
            Event::Exit(status),
            Event::Stderr(answer.stderr.into_bytes()),
            Event::Stdout(answer.stdout.into_bytes()),
        ])
    }
}

impl Stream for ExecStream {
    type Item = Result<Event, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, Error>>> {
        self.poll_event(context)
    }
}

/// Shows nothing of the output.
impl fmt::Debug for ExecStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecStream")
            .field("bytes_received", &self.received)
            .finish_non_exhaustive()
    }
}
