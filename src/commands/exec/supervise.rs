//! Following commands while signals come: the first is passed on to them, the second kills them and leaves.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::running::{RunningCommands, SignalResult, StopSignal};
use crate::error::Error;
use crate::output::{Messages, StdoutWriter};
use crate::signal::{Signal, Signals};

/// How long a signal may take to get to its command. After that we leave, as we would without a VM.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a command that is not there any more may take to say how it ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// What was followed to its end, and the signal that was passed on meanwhile.
#[derive(Debug)]
pub(crate) struct Supervised<T> {
    pub(crate) outcome: T,
    pub(crate) signal: Option<Signal>,
}

/// How many commands got a signal, and to how many it could not be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    reached: usize,
    lost: usize,
}

type Passing<'a> = Pin<Box<dyn Future<Output = Forwarded> + 'a>>;

/// Waits for the end of what is followed, whose commands are on the roster.
///
/// # Errors
/// The signal, when it ended our waiting and not the command. So it is where nobody reads the output: then the command's
/// end, which comes after it, is never heard.
pub(crate) async fn supervise<T>(
    followed: impl Future<Output = T>,
    running_commands: &RunningCommands,
    signals: &mut Signals,
    messages: &Messages,
    writer: &StdoutWriter,
) -> Result<Supervised<T>, Error> {
    let mut followed = pin!(followed);
    let mut first: Option<Signal> = None;
    let mut passing: Option<Passing<'_>> = None;
    let mut leave_at: Option<Instant> = None;
    loop {
        let passed_on = first.filter(|_| passing.is_none());
        tokio::select! {
            biased;
            outcome = &mut followed => return Ok(Supervised { outcome, signal: first }),
            signal = signals.next() => {
                if let Some(first) = first {
                    kill(running_commands, signals).await;
                    return Err(first.error());
                }
                first = Some(signal);
                running_commands.close();
                passing = Some(Box::pin(pass(running_commands, StopSignal::Pass(signal))));
            }
            passed = next(&mut passing) => {
                passing = None;
                if passed.lost > 0 {
                    messages.warn("the signal could not be delivered; the command may still be running in the VM");
                }
                if passed.reached == 0 {
                    let wait = if passed.lost > 0 { Duration::ZERO } else { EXIT_TIMEOUT };
                    leave_at = Some(Instant::now() + wait);
                }
            }
            signal = due(leave_at, first) => return Err(signal.error()),
            signal = unread(writer, passed_on) => return Err(signal.error()),
        }
    }
}

/// Kills all commands, unless one more signal says not even to wait for that.
async fn kill(running_commands: &RunningCommands, signals: &mut Signals) {
    tokio::select! {
        _ = pass(running_commands, StopSignal::Kill) => {}
        _ = signals.next() => {}
    }
}

/// Signals all commands at once.
pub(super) async fn pass(running_commands: &RunningCommands, signal: StopSignal) -> Forwarded {
    let running = running_commands.all();
    let sent = running
        .iter()
        .map(|one| timeout(SIGNAL_TIMEOUT, one.signal(signal)));
    let mut passed = Forwarded::default();
    for outcome in futures_util::future::join_all(sent).await {
        match outcome {
            Ok(Ok(SignalResult::Signalled)) => passed.reached += 1,
            Ok(Ok(SignalResult::NotThere)) => {}
            Ok(Ok(SignalResult::Unknown) | Err(_)) | Err(_) => passed.lost += 1,
        }
    }
    passed
}

async fn next(passing: &mut Option<Passing<'_>>) -> Forwarded {
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

async fn unread(writer: &StdoutWriter, signal: Option<Signal>) -> Signal {
    match signal {
        Some(signal) => {
            writer.stall().wait().await;
            signal
        }
        None => pending().await,
    }
}
