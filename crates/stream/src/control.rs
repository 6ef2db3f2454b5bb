//! Requests about a stream, each safe to send again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastvm_api::types::exec::ExecRequest;
use fastvm_api::{Client, exec};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::error::Error;
use crate::script;

/// How long one request may take, those that wait in the VM included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long no request may succeed: a little less than the VM waits for one.
const SILENCE_LIMIT: Duration = Duration::from_secs(50);
/// How long to wait before a request goes out again: at first, and at most.
const RETRY_DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a request looks for a stream that may have to start yet, every 50 ms.
const UNTIL_STARTED: u32 = 300;
/// The same for one that should have started.
const UNTIL_FOUND: u32 = 40;

/// Exit codes of `ask.sh`.
const NO_STREAM: i32 = 3;
const CUT: i32 = 4;

/// Signals and sizes on their way to a command. A clone is for the same command.
#[derive(Clone, Debug)]
pub struct Control {
    client: Client,
    vm: String,
    name: String,
    /// The stream was found in the VM.
    has_started: Arc<AtomicBool>,
}

/// What the VM says of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// How many pieces the command has taken.
    pub(crate) taken: u64,
    /// The command reads no more.
    pub(crate) is_closed: bool,
}

impl Control {
    pub(crate) fn new(client: &Client, vm: &str) -> Self {
        Self {
            client: client.clone(),
            vm: vm.to_owned(),
            name: format!(".fastvm-stream-{}", Uuid::new_v4().simple()),
            has_started: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn vm(&self) -> &str {
        &self.vm
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal, such as `INT`, to the command and its group. Returns whether it was there to take it.
    ///
    /// # Errors
    /// The request failed.
    pub async fn signal(&self, name: &str) -> Result<bool, fastvm_api::Error> {
        let output = self.ask(UNTIL_FOUND, &["signal", name], None).await?;
        Ok(output.status.code == 0)
    }

    /// Tells the command's terminal its size.
    ///
    /// # Errors
    /// The request failed.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), fastvm_api::Error> {
        let words = ["resize", &rows.to_string(), &columns.to_string()];
        self.ask(UNTIL_FOUND, &words, None).await.map(drop)
    }

    /// Ends the command, if it runs, and takes away what the stream has in the VM.
    ///
    /// # Errors
    /// The request failed.
    pub async fn stop(&self) -> Result<(), fastvm_api::Error> {
        self.ask(1, &["stop"], None).await.map(drop)
    }

    /// Sends a request about the input until it is answered. `None` if the stream is not there (any more).
    ///
    /// # Errors
    /// The VM refuses it, or no request succeeded for [`SILENCE_LIMIT`].
    pub(crate) async fn ask_until_answered(
        &self,
        words: &[&str],
        stdin: Option<&[u8]>,
    ) -> Result<Option<Answer>, Error> {
        let mut begun = Instant::now();
        let mut delay = RETRY_DELAYS.0;
        loop {
            let tries = match self.has_started.load(Ordering::Relaxed) {
                true => 1,
                false => UNTIL_STARTED,
            };
            let source = match self.ask(tries, words, stdin).await {
                Ok(output) => match output.status.code {
                    NO_STREAM => return Ok(None),
                    CUT => None,
                    0 => {
                        self.has_started.store(true, Ordering::Relaxed);
                        return read(&output.stdout).map(Some);
                    }
                    _ => return Err(refused(&output)),
                },
                Err(error) if error.is_vm_paused() => {
                    // The watch over the stream is paused with it.
                    begun = Instant::now();
                    Some(error)
                }
                Err(error) if !may_pass(&error) => return Err(error.into()),
                Err(error) => Some(error),
            };
            tracing::debug!(words = words[0], error = ?source, "a request about input is sent again");
            let silence = begun.elapsed();
            if silence > SILENCE_LIMIT {
                return Err(Error::Unreachable { silence, source });
            }
            sleep(delay).await;
            delay = (delay * 2).min(RETRY_DELAYS.1);
        }
    }

    async fn ask(
        &self,
        tries: u32,
        words: &[&str],
        stdin: Option<&[u8]>,
    ) -> Result<exec::Output, fastvm_api::Error> {
        let tries = tries.to_string();
        let mut command = vec!["sh", "-c", &script::ASK, "fastvm", &self.name, &tries];
        command.extend(words);
        let mut request = ExecRequest::new(command);
        request.timeout_sec = Some(60);
        if let Some(bytes) = stdin {
            request = request.with_stdin(bytes);
        }
        let answering = async { self.client.exec(&self.vm, &request).await?.output().await };
        match timeout(REQUEST_TIMEOUT, answering).await {
            Ok(output) => output,
            Err(_) => Err(fastvm_api::Error::timed_out(
                format!("VM {}", self.vm),
                REQUEST_TIMEOUT,
            )),
        }
    }
}

/// Reads `TAKEN [closed]`.
fn read(line: &[u8]) -> Result<Answer, Error> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace();
    let taken = words.next().and_then(|word| word.parse().ok());
    Ok(Answer {
        taken: taken.ok_or_else(|| Error::Refused {
            reason: format!("its answer {text:?} is not understood"),
        })?,
        is_closed: words.next().is_some(),
    })
}

fn refused(output: &exec::Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = match said.trim() {
        "" => format!("exit code {}", output.status.code),
        said => said.to_owned(),
    };
    Error::Refused { reason }
}

/// Whether the same request may be answered later.
fn may_pass(error: &fastvm_api::Error) -> bool {
    error.may_pass() || error.may_have_begun()
}
