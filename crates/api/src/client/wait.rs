//! Waiting for a VM, a snapshot, a volume or a build. The rules are those of the protocol notes, section 5.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Client;
use super::error::Error;
use super::retry::random_fraction;
use crate::types::Record;
use crate::types::build::{self, Build};
use crate::types::snapshot::{self, Snapshot};
use crate::types::vm::{Vm, status};

/// How long to wait, and how often to ask: by default five minutes, every two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long to wait. One question is always asked.
    pub limit: Duration,
    /// Time between two questions once the first seconds are over; jittered by a tenth.
    pub interval: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(300),
            interval: Duration::from_secs(2),
        }
    }
}

impl Wait {
    /// Returns the default with another limit.
    pub fn up_to(limit: Duration) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }
}

/// How a wait ended. The last state comes along.
#[derive(Debug)]
#[must_use = "what was waited for may not be ready"]
pub enum Waited<T> {
    /// It is ready.
    Ready(Record<T>),
    /// It will never be ready.
    Failed(Record<T>),
    /// The limit passed; it may still become ready.
    TimedOut(WaitTimeout<T>),
}

impl<T> Waited<T> {
    /// Returns what is ready.
    ///
    /// # Errors
    /// [`Error::NotReady`] if it will never be ready, or if the limit passed.
    pub fn ready(self) -> Result<Record<T>, Error> {
        let (message, cause) = match self {
            Self::Ready(record) => return Ok(record),
            Self::Failed(last) => {
                let (what, status) = (id_of(&last), status_of(&last));
                (
                    format!("{what} will not be ready: its status is {status}"),
                    None,
                )
            }
            Self::TimedOut(late) => {
                let message = match &late.last {
                    Some(last) => {
                        let (what, status) = (id_of(last), status_of(last));
                        format!("{what} was not ready in time: its status is {status}")
                    }
                    None => "no status was told in time".to_owned(),
                };
                (message, late.unanswered)
            }
        };
        let error = Error::NotReady {
            message,
            source: None,
        };
        Err(match cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        })
    }
}

fn id_of<T>(record: &Record<T>) -> String {
    member(record, "id").unwrap_or_else(|| "it".to_owned())
}

fn status_of<T>(record: &Record<T>) -> String {
    member(record, "status").unwrap_or_else(|| "unknown".to_owned())
}

/// A text among the members of an answer.
fn member<T>(record: &Record<T>, name: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(record.json.get()).ok()?;
    Some(answer.get(name)?.as_str()?.to_owned())
}

/// What is known when the limit of a wait passes.
#[derive(Debug)]
pub struct WaitTimeout<T> {
    /// The last state that the server told.
    pub last: Option<Record<T>>,
    /// Why the last question got no answer.
    pub unanswered: Option<Error>,
}

/// What a state means to one who waits.
enum Verdict {
    Ready,
    /// It will never be ready.
    Failed,
    Pending,
}

impl Client {
    /// Waits until a VM runs, fails, or the limit passes. One question is always asked.
    ///
    /// A server that is away meanwhile does not end the wait.
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
    /// use std::time::Duration;
    /// use fastvm_api::wait::Wait;
    ///
    /// let id = client.launch_vm(&launch).await?.value.id;
    /// let wait = Wait::up_to(Duration::from_secs(60));
    /// let vm = client.wait_until_running(&id, wait).await?.ready()?;
    /// assert_eq!(vm.value.status.as_deref(), Some("running"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A failure that waiting does not help, such as that the VM is not there.
    pub async fn wait_until_running(&self, id: &str, wait: Wait) -> Result<Waited<Vm>, Error> {
        self.wait_for_vm(id, status::RUNNING, wait).await
    }

    /// Waits until a VM has a status, `running` or `paused`, fails, or the limit passes.
    ///
    /// # Errors
    /// As [`Client::wait_until_running`].
    pub async fn wait_for_vm(
        &self,
        id: &str,
        wanted: &str,
        wait: Wait,
    ) -> Result<Waited<Vm>, Error> {
        let judge = |vm: &Vm| match vm.status.as_deref().unwrap_or_default() {
            reached if reached == wanted => Verdict::Ready,
            status::ERROR | status::STOPPED | status::DELETING => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(self, wait, judge, || self.get_vm(id)).await
    }

    /// Waits until a build ends, or the limit passes. `seen` is told of each state.
    ///
    /// # Errors
    /// A failure that waiting does not help, such as that the build is not there.
    pub async fn wait_for_build(
        &self,
        id: &str,
        wait: Wait,
        seen: impl Fn(&Build),
    ) -> Result<Waited<Build>, Error> {
        let judge = |build: &Build| {
            seen(build);
            match build.status.as_deref().unwrap_or_default() {
                build::COMPLETED => Verdict::Ready,
                build::FAILED => Verdict::Failed,
                _ => Verdict::Pending,
            }
        };
        poll(self, wait, judge, || self.get_build(id)).await
    }

    /// Waits until a snapshot is ready, fails, or the limit passes. One question is always asked.
    ///
    /// # Errors
    /// A failure that waiting does not help, such as that the snapshot is not there.
    pub async fn wait_for_snapshot(&self, id: &str, wait: Wait) -> Result<Waited<Snapshot>, Error> {
        let judge = |snapshot: &Snapshot| match snapshot.status.as_deref().unwrap_or_default() {
            snapshot::READY => Verdict::Ready,
            snapshot::ERROR => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(self, wait, judge, || self.get_snapshot(id)).await
    }
}

/// Asks until the answer settles or the limit passes. A server that is away until then does not end the wait.
// With `AsyncFn` the compiler could not tell that the wait may go to another thread.
async fn poll<T, F: Future<Output = Result<Record<T>, Error>>>(
    client: &Client,
    wait: Wait,
    judge: impl Fn(&T) -> Verdict,
    ask: impl Fn() -> F,
) -> Result<Waited<T>, Error> {
    let mut timer = PollTimer::new(wait);
    let mut last = None;
    loop {
        let unanswered = match client.poll_once(&timer, ask()).await? {
            Ok(record) => {
                match judge(&record.value) {
                    Verdict::Ready => return Ok(Waited::Ready(record)),
                    Verdict::Failed => return Ok(Waited::Failed(record)),
                    Verdict::Pending => last = Some(record),
                }
                None
            }
            Err(error) => Some(error),
        };
        if !timer.sleep().await {
            return Ok(Waited::TimedOut(WaitTimeout { last, unanswered }));
        }
    }
}

impl Client {
    /// Asks one question of a wait of one's own, while there is time left.
    ///
    /// The inner result is a failure that may pass. The [`Log`](crate::Log) is warned of it once.
    ///
    /// # Errors
    /// A failure that waiting does not help.
    pub async fn poll_once<T>(
        &self,
        timer: &PollTimer,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Error> {
        let limit = timer.remaining().max(SHORTEST_QUESTION);
        let answer = tokio::time::timeout(limit, question).await;
        let answer = answer.unwrap_or_else(|_| {
            let seconds = Duration::from_secs(limit.as_secs());
            Err(Error::timed_out(self.server(), seconds))
        });
        match answer {
            Ok(answer) => Ok(Ok(answer)),
            // What is between here and the API answers for it while it is away.
            Err(error) if error.may_pass() || error.is_unexpected() => {
                self.warn_of_outage(&error);
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Hands a warning to the client's [`Log`](crate::Log), for code that has only the client.
    pub fn warn(&self, text: &str) {
        self.0.log.warn(text);
    }

    /// Warns the client's [`Log`](crate::Log), once, that questions get no answer and the wait goes on.
    pub fn warn_of_outage(&self, error: &dyn Display) {
        if !self.0.told_of_outage.swap(true, Ordering::Relaxed) {
            let text = format!("{error}; still waiting until the time limit");
            self.0.log.warn(&text);
        }
    }
}

/// The time between the questions of one wait, for a wait of one's own. [`Client::poll_once`] asks.
#[derive(Debug)]
pub struct PollTimer {
    deadline: Instant,
    pause: Duration,
    interval: Duration,
}

/// The contract allows no shorter pause between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// How long a question may take although the limit passes, as one is always asked.
const SHORTEST_QUESTION: Duration = Duration::from_secs(5);

impl PollTimer {
    /// Starts the time of a wait.
    pub fn new(wait: Wait) -> Self {
        Self {
            deadline: deadline(wait.limit),
            pause: SHORTEST_PAUSE,
            interval: wait.interval,
        }
    }

    /// Returns the time until the limit.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sleeps until the next question is due, and returns whether it is: `false` at once if the limit has passed.
    ///
    /// Cancel-safe.
    pub async fn sleep(&mut self) -> bool {
        let left = self.remaining();
        if left.is_zero() {
            return false;
        }
        let jittered = self
            .pause
            .min(self.interval)
            .mul_f64(0.9 + 0.2 * random_fraction())
            .max(SHORTEST_PAUSE);
        tokio::time::sleep(jittered.min(left)).await;
        self.pause = longer(self.pause, self.interval);
        true
    }
}

/// The end of a limit; one that no clock can tell is a century away.
fn deadline(limit: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + limit.min(CENTURY)
}

/// The pause after this one. It grows no further than the interval, as a wait may be long.
fn longer(pause: Duration, interval: Duration) -> Duration {
    pause.min(interval).mul_f64(1.6).min(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(json: &str) -> Record<Vm> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_not_ready_says_its_status_and_why_it_is_unknown() {
        let last = || vm(r#"{"id":"i","status":"error"}"#);
        assert!(Waited::Ready(last()).ready().is_ok());
        let said = |waited: Waited<Vm>| waited.ready().unwrap_err().to_string();
        let failed = said(Waited::Failed(last()));
        assert_eq!(failed, "i will not be ready: its status is error");
        let late = |last, unanswered| Waited::TimedOut(WaitTimeout { last, unanswered });
        let pending = said(late(Some(vm("{}")), None));
        assert_eq!(pending, "it was not ready in time: its status is unknown");
        let stalled = Error::stalled("h".to_owned(), Duration::from_secs(1));
        let error = late(None, Some(stalled)).ready().unwrap_err();
        assert_eq!(error.to_string(), "no status was told in time");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.is::<Error>());
    }

    #[test]
    fn pauses_grow_to_the_interval_and_stay_there() {
        let interval = Duration::from_secs(2);
        let mut pause = SHORTEST_PAUSE;
        for _ in 0..1_000 {
            pause = longer(pause, interval);
            assert!((SHORTEST_PAUSE..=interval).contains(&pause), "{pause:?}");
        }
        assert_eq!(pause, interval);
    }
}
