//! Waiting for a VM, a snapshot, a volume or a build. The rules are those of the protocol notes, section 5.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Client;
use super::error::Error;
use super::retry::random_fraction;
use crate::types::Record;
use crate::types::build::{self, Build};
use crate::types::snapshot::{self, Snapshot};
use crate::types::vm::{Vm, status};

/// How long to wait, and how often to ask.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub limit: Duration,
    /// Time between two questions once the first seconds are over; jittered by a tenth.
    pub interval: Duration,
}

/// How a wait ended. The last state comes along.
#[derive(Debug)]
pub enum Waited<T> {
    Ready(Record<T>),
    /// It will never be ready.
    Failed(Record<T>),
    /// The limit passed; it may still become ready.
    TimedOut(Late<T>),
}

/// What is known when the limit of a wait passes.
#[derive(Debug)]
pub struct Late<T> {
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
    /// Asks about a VM until it runs, fails, or the limit passes. One question is always asked.
    pub async fn wait_until_running(&self, id: &str, wait: Wait) -> Result<Waited<Vm>, Error> {
        self.wait_for_vm(id, status::RUNNING, wait).await
    }

    /// As [`Client::wait_until_running`], for another status: `running` or `paused`.
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
        poll(self, wait, judge, async || self.get_vm(id).await).await
    }

    /// Asks about a build until it ends, or the limit passes. `seen` is told of each state.
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
        poll(self, wait, judge, async || self.get_build(id).await).await
    }

    /// Asks about a snapshot until it is ready, fails, or the limit passes. One question is always asked.
    pub async fn wait_until_ready(&self, id: &str, wait: Wait) -> Result<Waited<Snapshot>, Error> {
        let judge = |snapshot: &Snapshot| match snapshot.status.as_deref().unwrap_or_default() {
            snapshot::READY => Verdict::Ready,
            snapshot::ERROR => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(self, wait, judge, async || self.get_snapshot(id).await).await
    }
}

/// Asks until the answer settles or the limit passes. A server that is away until then does not end the wait.
async fn poll<T>(
    client: &Client,
    wait: Wait,
    judge: impl Fn(&T) -> Verdict,
    ask: impl AsyncFn() -> Result<Record<T>, Error>,
) -> Result<Waited<T>, Error> {
    let mut pace = Pace::new(wait);
    let mut last = None;
    loop {
        let unanswered = match client.answer(&pace, ask()).await? {
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
        if !pace.rest().await {
            return Ok(Waited::TimedOut(Late { last, unanswered }));
        }
    }
}

impl Client {
    /// Waits for an answer while there is time left. Inside is a failure that may pass, which the user is told of once.
    ///
    /// # Errors
    /// A failure that waiting does not help.
    pub async fn answer<T>(
        &self,
        pace: &Pace,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Error> {
        let limit = pace.left().max(SHORTEST_QUESTION);
        let answer = tokio::time::timeout(limit, question).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Error::TimedOut {
                server: self.server(),
                limit: format!("{} s", limit.as_secs()),
            })
        });
        match answer {
            Ok(answer) => Ok(Ok(answer)),
            // What is between here and the API answers for it while it is away.
            Err(error) if error.may_pass() || error.is_unexpected() => {
                self.tell_of_outage(&error.in_words());
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Says what the user should know.
    pub fn warn(&self, text: &str) {
        self.0.log.warn(text);
    }

    /// Says once that questions get no answer, and that the wait goes on.
    pub fn tell_of_outage(&self, error: &dyn Display) {
        if !self.0.told_of_outage.swap(true, Ordering::Relaxed) {
            let text = format!("{error}; still waiting until the time limit");
            self.0.log.warn(&text);
        }
    }
}

/// The time between the questions of one wait.
#[derive(Debug)]
pub struct Pace {
    deadline: Instant,
    pause: Duration,
    interval: Duration,
}

/// The contract allows no shorter pause between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
/// How long a question may take although the limit passes, as one is always asked.
const SHORTEST_QUESTION: Duration = Duration::from_secs(5);

impl Pace {
    /// Begins the time of a wait.
    pub fn new(wait: Wait) -> Self {
        Self {
            deadline: deadline(wait.limit),
            pause: SHORTEST_PAUSE,
            interval: wait.interval,
        }
    }

    /// The time until the limit.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Sleeps until the next question is due. False at once where the limit has passed.
    pub async fn rest(&mut self) -> bool {
        let left = self.left();
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
