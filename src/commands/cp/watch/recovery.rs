//! What becomes of a watch when a batch fails.

use std::error::Error as _;
use std::time::Duration;

use super::sync;
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::Error;
use fastvm_api as api;
use fastvm_transfer::sync::SyncOptions;
use fastvm_transfer::{self as transfer, RemoteClass, RemoteError, SkipReason, Summary};

/// How often in a row a batch may fail on what changes meanwhile.
const MOST_FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What to do after a batch.
pub(super) enum Next {
    /// Wait for a change.
    Wait,
    /// Compare everything after a pause.
    CompareAfter(Duration),
    End(Error),
}

impl Next {
    /// After a batch that went well. What did not hold still is looked at again.
    pub(super) fn go_on(summary: &Summary) -> Self {
        let mut skipped = summary.skipped.iter();
        match skipped.any(|skipped| skipped.reason == SkipReason::Changed) {
            true => Self::CompareAfter(FIRST_PAUSE),
            false => Self::Wait,
        }
    }
}

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    failures: u32,
    /// The VM could not be reached, and the user knows.
    is_away: bool,
}

/// What a failure is about.
enum Cause {
    /// The VM or the way to it: it may come back at any time.
    Away,
    /// Something changed while it was copied.
    Change,
    /// Anything else: trying again does not help.
    Lasting,
}

impl Recovery {
    /// A batch went well.
    pub(super) fn succeeded(&mut self, context: &Context, vm: &Named) {
        if self.is_away {
            let text = format!("VM {} answers again", vm.label());
            context.ui.status(&text);
        }
        *self = Self::default();
    }

    /// A batch failed.
    pub(super) fn failed(
        &mut self,
        context: &Context,
        error: transfer::Error,
        vm: &Named,
        choice: SyncOptions,
    ) -> Next {
        self.failures += 1;
        let cause = cause(&error);
        let error = sync::explain(error, vm, choice);
        let is_over = match cause {
            Cause::Away => false,
            Cause::Change => self.failures > MOST_FAILURES,
            Cause::Lasting => true,
        };
        if is_over {
            return Next::End(error);
        }
        if matches!(cause, Cause::Away) && !std::mem::replace(&mut self.is_away, true) {
            context
                .ui
                .warn(&format!("{}; still watching", error.message()));
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(8));
        Next::CompareAfter(pause.min(LONGEST_PAUSE))
    }
}

fn cause(error: &transfer::Error) -> Cause {
    match error {
        transfer::Error::Remote(error) if may_come_back(error) => Cause::Away,
        transfer::Error::LocalMissing(_)
        | transfer::Error::Local { .. }
        | transfer::Error::Unreadable(_)
        | transfer::Error::Changed(_)
        | transfer::Error::Conflict { .. }
        | transfer::Error::Guest { .. }
        | transfer::Error::GuestTimeout(_)
        | transfer::Error::Integrity { .. } => Cause::Change,
        _ => Cause::Lasting,
    }
}

/// A VM that is paused, or not yet running again, refuses with 409.
fn may_come_back(error: &RemoteError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    match source {
        Some(error @ api::Error::Status { status, .. }) => {
            status.as_u16() == 409 || error.may_pass()
        }
        _ => error.class() != RemoteClass::Final || source.is_some_and(api::Error::may_pass),
    }
}
