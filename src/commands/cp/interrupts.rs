//! A signal that comes during a copy.

use std::sync::Arc;
use std::time::Duration;

use super::journal;
use super::progress::CopyProgress;
use super::watch::{Batches, Watch};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::signal::{Signal, Signals};
use fastvm_transfer::{Cleanup, Journal, Summary, Vm, clean_up, shown_guest_path};

/// How long tidying up may take.
const LONGEST_CLEANUP: Duration = Duration::from_secs(5);

/// One VM of a copy, and what is to be removed there.
pub(super) struct Leftovers {
    pub(super) vm: Vm,
    pub(super) label: String,
    pub(super) cleanup: Cleanup,
}

/// Ends a copy when a signal comes, and removes what it has made so far.
pub(super) struct Interrupts {
    pub(super) signals: Signals,
    pub(super) progress: Arc<CopyProgress>,
    pub(super) target: Leftovers,
    pub(super) source: Leftovers,
    pub(super) journal: Option<Arc<Journal>>,
}

impl Interrupts {
    /// Does some work of the copy, or returns the signal as an error.
    pub(super) async fn unless_interrupted<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let signal = tokio::select! {
            done = work => return Ok(done),
            signal = self.signals.next() => signal,
        };
        Err(self.tidied(signal).await)
    }

    /// Goes on after a first copy. A signal is the way to end that, and an error only where a copy was under way.
    pub(super) async fn follow(
        mut self,
        watch: Watch,
        context: &mut Context,
        batches: Batches<'_>,
        first: &Summary,
    ) -> Result<Exit, Error> {
        let signal = tokio::select! {
            error = watch.follow(context, batches, &self.target, first) => return Err(error),
            signal = self.signals.next() => signal,
        };
        if self.progress.close() || !self.target.cleanup.paths().is_empty() {
            return Err(self.tidied(signal).await);
        }
        Ok(Exit::of_signal(signal.number()))
    }

    async fn tidied(&mut self, signal: Signal) -> Error {
        self.progress.close();
        let (target, source) = (&self.target, &self.source);
        // What stands in the VM is removed, unless that takes long or a second signal comes.
        tokio::select! {
            cleaned = async { tokio::join!(
                clean_up(&target.vm, &source.vm, &target.cleanup),
                clean_up(&source.vm, &source.vm, &source.cleanup),
            ) } => drop(cleaned),
            () = tokio::time::sleep(LONGEST_CLEANUP) => {}
            _ = self.signals.next() => {}
        }
        let error = left_behind(signal.error(), target);
        journal::hint(left_behind(error, source), self.journal.as_deref())
    }
}

fn left_behind(error: Error, left: &Leftovers) -> Error {
    let paths = left.cleanup.paths();
    if paths.is_empty() {
        return error;
    }
    let paths = shown_guest_path(&paths.join(", ")).into_owned();
    error.also(&format!("left in {}: {paths}", left.label))
}
