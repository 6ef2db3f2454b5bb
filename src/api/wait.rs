//! Waiting for a VM, a snapshot, a volume or a build. The rules are those of the protocol notes, section 5.

use std::time::{Duration, Instant};

use super::client::Client;
use super::error::Error;
use super::retry::random_fraction;
use crate::wire::Record;
use crate::wire::build::{self, Build};
use crate::wire::snapshot::{self, Snapshot};
use crate::wire::vm::{Vm, status};

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
    TimedOut(Record<T>),
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
        let judge = |vm: &Vm| match vm.status.as_str() {
            reached if reached == wanted => Verdict::Ready,
            status::ERROR | status::STOPPED | status::DELETING => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(wait, judge, async || self.get_vm(id).await).await
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
            match build.status.as_str() {
                build::COMPLETED => Verdict::Ready,
                build::FAILED => Verdict::Failed,
                _ => Verdict::Pending,
            }
        };
        poll(wait, judge, async || self.get_build(id).await).await
    }

    /// Asks about a snapshot until it is ready, fails, or the limit passes. One question is always asked.
    pub async fn wait_until_ready(&self, id: &str, wait: Wait) -> Result<Waited<Snapshot>, Error> {
        let judge = |snapshot: &Snapshot| match snapshot.status.as_str() {
            snapshot::READY => Verdict::Ready,
            snapshot::ERROR => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(wait, judge, async || self.get_snapshot(id).await).await
    }
}

/// Asks until the answer settles or the limit passes.
async fn poll<T>(
    wait: Wait,
    judge: impl Fn(&T) -> Verdict,
    ask: impl AsyncFn() -> Result<Record<T>, Error>,
) -> Result<Waited<T>, Error> {
    let mut pace = Pace::new(wait);
    loop {
        let record = ask().await?;
        match judge(&record.value) {
            Verdict::Ready => return Ok(Waited::Ready(record)),
            Verdict::Failed => return Ok(Waited::Failed(record)),
            Verdict::Pending => {}
        }
        if !pace.rest().await {
            return Ok(Waited::TimedOut(record));
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

/// Most VMs run within a second, so the first questions come quickly.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Pace {
    /// Begins the time of a wait.
    pub fn new(wait: Wait) -> Self {
        Self {
            deadline: Instant::now() + wait.limit,
            pause: FIRST_PAUSE,
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
            .mul_f64(0.9 + 0.2 * random_fraction());
        tokio::time::sleep(jittered.min(left)).await;
        self.pause = self.pause.mul_f64(1.6);
        true
    }
}
