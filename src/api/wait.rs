//! Waiting until a VM runs or a snapshot is ready. The rules are those of the protocol notes, section 5.

use std::time::{Duration, Instant};

use super::client::Client;
use super::error::Error;
use super::retry::random_fraction;
use crate::wire::Record;
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

enum Verdict {
    Ready,
    Failed,
    Pending,
}

impl Client {
    /// Asks about a VM until it runs, fails, or the limit passes. One question is always asked.
    pub async fn wait_until_running(&self, id: &str, wait: Wait) -> Result<Waited<Vm>, Error> {
        let judge = |vm: &Vm| match vm.status.as_str() {
            status::RUNNING => Verdict::Ready,
            status::ERROR | status::STOPPED | status::DELETING => Verdict::Failed,
            _ => Verdict::Pending,
        };
        poll(wait, judge, async || self.get_vm(id).await).await
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

async fn poll<T>(
    wait: Wait,
    judge: impl Fn(&T) -> Verdict,
    ask: impl AsyncFn() -> Result<Record<T>, Error>,
) -> Result<Waited<T>, Error> {
    let deadline = Instant::now() + wait.limit;
    let mut pause = FIRST_PAUSE;
    loop {
        let record = ask().await?;
        match judge(&record.value) {
            Verdict::Ready => return Ok(Waited::Ready(record)),
            Verdict::Failed => return Ok(Waited::Failed(record)),
            Verdict::Pending => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Waited::TimedOut(record));
        }
        let jittered = pause
            .min(wait.interval)
            .mul_f64(0.9 + 0.2 * random_fraction());
        tokio::time::sleep(jittered.min(left)).await;
        pause = pause.mul_f64(1.6);
    }
}

/// Most VMs run within a second, so the first questions come quickly.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
