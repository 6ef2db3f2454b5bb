//! A VM and its storage, through the v1 API.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastvm_api::exec::Event;
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::base64;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::{self as api, Client};

use crate::error::{RemoteClass, RemoteError};
use crate::format::channel::ByteStream;
use crate::guest::remote::{
    BlobStore, Body, Deadline, Guest, GuestCommand, GuestOutput, StagingObject,
};
use crate::guest::script::{is_running, running};

/// The longest that a step in the VM may take, in seconds: a day, as a transfer has no limit of its own.
const TRANSFER_LIMIT: i64 = 24 * 60 * 60;
const BRIEF_LIMIT: i64 = 30;
/// How long the answer to a brief one may take: longer than the service gives it, so that its own word comes first.
const BRIEF_ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// After so long without a word from a command that moves data, the VM is asked whether it is still there.
const QUIET_PERIOD: Duration = Duration::from_secs(30);
/// How long the last word of a command that is no longer there may be on its way.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Questions in a row that fail, until a command that nothing is heard of is given up.
const QUESTIONS: u32 = 4;
/// Between two questions about a command whose connection was lost.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Slower than this, in bytes a second, the standard input of a command counts as stalled.
const SLOWEST: u64 = 1024;

/// A VM of the v1 API, and the storage that its URLs lead to.
#[derive(Clone, Debug)]
pub struct Vm {
    client: Client,
    id: String,
}

impl Vm {
    /// The VM with this id. Nothing is sent.
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        let id = id.into();
        Self { client, id }
    }

    /// The client that reaches it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Guest for Vm {
    async fn exec(&self, command: GuestCommand) -> Result<GuestOutput, RemoteError> {
        match command.deadline {
            Deadline::Brief => self.brief(&command).await,
            Deadline::Transfer => self.run(&command).await,
        }
    }

    async fn fetch(&self, url: &SignedUrl, path: &str) -> Result<GuestOutput, RemoteError> {
        let answer = self
            .client
            .fetch(&self.id, url, path, TRANSFER_LIMIT)
            .await
            .map_err(failed)?
            .value;
        Ok(GuestOutput {
            code: answer.exit_code.unwrap_or(0),
            timed_out: answer.timed_out,
            stdout: answer.stdout.into_bytes(),
            stderr: answer.stderr.into_bytes(),
        })
    }
}

impl BlobStore for Vm {
    async fn presign(&self, name: &str) -> Result<StagingObject, RemoteError> {
        let answer = self
            .client
            .presign(&self.id, name)
            .await
            .map_err(failed)?
            .value;
        Ok(StagingObject {
            upload: SignedUrl::new(answer.upload_url),
            download: SignedUrl::new(answer.download_url),
            expires: Duration::from_secs(number(answer.expires_in_sec).unwrap_or(0)),
            // one that names no limit has none
            max_bytes: number(answer.max_upload_bytes).unwrap_or(u64::MAX),
        })
    }

    async fn put(&self, url: &SignedUrl, body: Body) -> Result<(), RemoteError> {
        self.client
            .put_object(url, body.bytes, body.length)
            .await
            .map_err(failed)
    }

    async fn get(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> Result<ByteStream<RemoteError>, RemoteError> {
        use futures_util::TryStreamExt as _;
        let stream = self.client.get_object(url, from).await.map_err(failed)?;
        Ok(Box::pin(stream.map_err(failed)))
    }
}

impl Vm {
    /// A command that is over within half a minute, or has failed.
    async fn brief(&self, command: &GuestCommand) -> Result<GuestOutput, RemoteError> {
        let request = request(command, BRIEF_LIMIT);
        let run = async {
            let mut stream = self.client.exec(&self.id, &request).await.map_err(failed)?;
            let mut output = GuestOutput::default();
            loop {
                let event = stream.next_event().await.map_err(failed)?;
                if collect(&mut output, event, command.output_limit)? {
                    return Ok(output);
                }
            }
        };
        let answer = tokio::time::timeout(BRIEF_ANSWER_TIMEOUT, run).await;
        answer.unwrap_or_else(|_| {
            let server = self.client.server();
            Err(failed(api::Error::timed_out(server, BRIEF_ANSWER_TIMEOUT)))
        })
    }

    /// A command that may take long, and say nothing meanwhile.
    async fn run(&self, command: &GuestCommand) -> Result<GuestOutput, RemoteError> {
        let request = request(command, TRANSFER_LIMIT);
        let name = command.name.as_str();
        let quiet = QUIET_PERIOD + Duration::from_secs(command.stdin.len() as u64 / SLOWEST);
        let begun = self.client.exec(&self.id, &request);
        let silent = AtomicU64::new(0);
        let begun = self.watched(begun, name, (quiet, &silent)).await?;
        let mut stream = match begun {
            Ok(stream) => stream,
            Err(error) => return Err(self.settled(error, name).await),
        };
        let heard = stream.bytes_received();
        let mut output = GuestOutput::default();
        loop {
            let event = self.watched(stream.next_event(), name, (QUIET_PERIOD, &heard));
            match event.await? {
                Err(error) => return Err(self.settled(error, name).await),
                Ok(event) => {
                    if collect(&mut output, event, command.output_limit)? {
                        return Ok(output);
                    }
                }
            }
        }
    }

    /// The error of a command whose end nobody heard, once the command is over: sent again any sooner, two of them would write to one place.
    async fn settled(&self, error: api::Error, name: &str) -> RemoteError {
        // Where there was no connection, nothing was begun.
        let may_be_at_work = match &error {
            api::Error::StreamLost { .. }
            | api::Error::Broken { .. }
            | api::Error::TimedOut { .. }
            | api::Error::Stalled { .. } => true,
            api::Error::Status {
                status, retryable, ..
            } => *retryable && status.is_server_error(),
            _ => false,
        };
        if !may_be_at_work {
            return failed(error);
        }
        let mut pause = Duration::from_millis(500);
        loop {
            match self.is_running(name).await {
                Ok(Some(false)) => return RemoteError::new(RemoteClass::Lost, error),
                Ok(Some(true)) => {}
                Ok(None) => return RemoteError::new(RemoteClass::Final, error),
                Err(unknown) => return unknown,
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Waits for a word from a command for as long as it is there. A connection that something keeps open, and that carries nothing any
    /// more, would be waited on for ever. As long as more and more is `heard`, the word is on its way.
    async fn watched<T>(
        &self,
        word: impl Future<Output = T>,
        name: &str,
        (quiet, heard): (Duration, &AtomicU64),
    ) -> Result<T, RemoteError> {
        tokio::pin!(word);
        let mut quiet = quiet;
        loop {
            let before = heard.load(Ordering::Relaxed);
            if let Ok(word) = tokio::time::timeout(quiet, &mut word).await {
                return Ok(word);
            }
            quiet = QUIET_PERIOD;
            if heard.load(Ordering::Relaxed) > before {
                continue;
            }
            tokio::select! {
                biased;
                word = &mut word => return Ok(word),
                there = self.is_running(name) => if there? == Some(false) { break },
            }
        }
        let last = tokio::time::timeout(LAST_WORD, word).await;
        last.map_err(|_| {
            let error = api::Error::stalled(self.client.server(), QUIET_PERIOD);
            RemoteError::new(RemoteClass::Lost, error)
        })
    }

    /// Returns whether a command is still there; `None` if the VM cannot tell. That a question fails says nothing about it.
    async fn is_running(&self, name: &str) -> Result<Option<bool>, RemoteError> {
        let apart = Self {
            client: self.client.with_own_connections().map_err(failed)?,
            id: self.id.clone(),
        };
        let mut failures = 0;
        loop {
            let error = match apart.brief(&running(name)).await {
                Ok(answer) => return Ok(is_running(&answer)),
                Err(error) => error,
            };
            failures += 1;
            if error.class() == RemoteClass::Final || failures == QUESTIONS {
                return Err(RemoteError::new(RemoteClass::Final, error.into_source()));
            }
            tokio::time::sleep(Duration::from_secs(1 << failures)).await;
        }
    }
}

fn request(command: &GuestCommand, limit: i64) -> ExecRequest {
    ExecRequest {
        command: command.argv.clone(),
        stdin: (!command.stdin.is_empty()).then(|| base64::encode(&command.stdin)),
        timeout_sec: Some(limit),
    }
}

/// Adds what a command said; whether that was its end. A guest that says more than it should is cut off instead of filling the memory here.
fn collect(output: &mut GuestOutput, event: Event, limit: usize) -> Result<bool, RemoteError> {
    let (to, bytes) = match event {
        Event::Stdout(bytes) => (&mut output.stdout, bytes),
        Event::Stderr(bytes) => (&mut output.stderr, bytes),
        Event::Exit(ended) => {
            output.code = ended.code;
            output.timed_out = ended.timed_out;
            return Ok(true);
        }
    };
    if to.len() + bytes.len() > limit {
        let text = format!("a command in the VM printed more than the {limit} bytes that it may");
        return Err(RemoteError::new(RemoteClass::Final, text));
    }
    to.extend_from_slice(&bytes);
    Ok(false)
}

fn failed(error: api::Error) -> RemoteError {
    let class = match &error {
        api::Error::Status {
            retryable: true, ..
        }
        | api::Error::Connect { .. }
        | api::Error::Broken { .. }
        | api::Error::TimedOut { .. }
        | api::Error::Stalled { .. } => RemoteClass::Retryable,
        api::Error::StreamLost { .. } => RemoteClass::Lost,
        api::Error::Storage { status, .. } if [400, 403].contains(&status.as_u16()) => {
            RemoteClass::Expired
        }
        api::Error::Storage { status, .. }
            if status.is_server_error() || [408, 429].contains(&status.as_u16()) =>
        {
            RemoteClass::Retryable
        }
        _ => RemoteClass::Final,
    };
    RemoteError::new(class, error)
}

fn number(sent: Option<i64>) -> Option<u64> {
    sent.and_then(|sent| u64::try_from(sent).ok())
}
