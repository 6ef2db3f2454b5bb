//! Following commands while signals come: the first is passed on to them, the second kills them and leaves.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::running::{Blow, Reached, Roster};
use crate::error::Error;
use crate::output::{Outlet, Talk};
use crate::signal::{Signal, Signals};

/// How long a signal may take to get to its command. After that we leave, as we would without a VM.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a command that is not there any more may take to say how it ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// What was followed to its end, and the signal that was passed on meanwhile.
#[derive(Debug)]
pub(crate) struct Followed<T> {
    pub(crate) outcome: T,
    pub(crate) signal: Option<Signal>,
}

/// How many commands got a signal, and to how many it could not be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    reached: usize,
    lost: usize,
}

type Passing<'a> = Pin<Box<dyn Future<Output = Passed> + 'a>>;

/// Waits for the end of what is followed, whose commands are on the roster.
///
/// # Errors
/// The signal, when it ended our waiting and not the command. So it is where nobody reads the output: then the command's
/// end, which comes after it, is never heard.
pub(crate) async fn attended<T>(
    followed: impl Future<Output = T>,
    roster: &Roster,
    signals: &mut Signals,
    talk: &Talk,
    outlet: &Outlet,
) -> Result<Followed<T>, Error> {
    let mut followed = pin!(followed);
    let mut first: Option<Signal> = None;
    let mut passing: Option<Passing<'_>> = None;
    let mut leave_at: Option<Instant> = None;
    loop {
        let passed_on = first.filter(|_| passing.is_none());
        tokio::select! {
            biased;
            outcome = &mut followed => return Ok(Followed { outcome, signal: first }),
            signal = signals.next() => {
                if let Some(first) = first {
                    kill(roster, signals).await;
                    return Err(first.error());
                }
                first = Some(signal);
                roster.close();
                passing = Some(Box::pin(pass(roster, Blow::Pass(signal))));
            }
            passed = next(&mut passing) => {
                passing = None;
                if passed.lost > 0 {
                    talk.warn("the signal could not be delivered; the command may still be running in the VM");
                }
                if passed.reached == 0 {
                    let wait = if passed.lost > 0 { Duration::ZERO } else { EXIT_TIMEOUT };
                    leave_at = Some(Instant::now() + wait);
                }
            }
            signal = due(leave_at, first) => return Err(signal.error()),
            signal = unread(outlet, passed_on) => return Err(signal.error()),
        }
    }
}

/// Kills all commands, unless one more signal says not even to wait for that.
async fn kill(roster: &Roster, signals: &mut Signals) {
    tokio::select! {
        _ = pass(roster, Blow::Kill) => {}
        _ = signals.next() => {}
    }
}

/// Signals all commands at once.
pub(super) async fn pass(roster: &Roster, blow: Blow) -> Passed {
    let running = roster.all();
    let sent = running
        .iter()
        .map(|one| timeout(SIGNAL_TIMEOUT, one.signal(blow)));
    let mut passed = Passed::default();
    for outcome in futures_util::future::join_all(sent).await {
        match outcome {
            Ok(Ok(Reached::Signalled)) => passed.reached += 1,
            Ok(Ok(Reached::NotThere)) => {}
            Ok(Ok(Reached::Unknown) | Err(_)) | Err(_) => passed.lost += 1,
        }
    }
    passed
}

async fn next(passing: &mut Option<Passing<'_>>) -> Passed {
    match passing {
        Some(passing) => passing.await,
        None => pending().await,
    }
}

async fn due(time: Option<Instant>, signal: Option<Signal>) -> Signal {
    match (time, signal) {
        (Some(time), Some(signal)) => {
            sleep_until(time).await;
            signal
        }
        _ => pending().await,
    }
}

async fn unread(outlet: &Outlet, signal: Option<Signal>) -> Signal {
    match signal {
        Some(signal) => {
            outlet.stall().wait().await;
            signal
        }
        None => pending().await,
    }
}
