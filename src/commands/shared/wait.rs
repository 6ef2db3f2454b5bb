//! How waits end that do not end well, whatever they wait for.

use std::future::Future;
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::output::human;
use crate::signal::Signals;
use fastvm_api::wait::WaitTimeout;

/// The limit of a wait passed. `state` is the status in the last answer; `what` is how messages call the thing.
pub(crate) fn late<T>(
    what: &str,
    late: &WaitTimeout<T>,
    limit: Duration,
    state: impl Fn(&T) -> &str,
) -> Error {
    let limit = human::duration(limit);
    let mut message = match &late.last {
        Some(last) => format!(
            "{what} is still {} after {limit}",
            visible(state(&last.value))
        ),
        None => format!("the status of {what} is still unknown after {limit}"),
    };
    if let Some(error) = &late.unanswered {
        message.push_str(&format!(": {error}"));
    }
    Error::new(Kind::WaitTimeout, message).retryable(true)
}

/// Waits for something that goes on without us: a signal ends the wait, with a hint.
pub(crate) async fn supervise<T>(
    waiting: impl Future<Output = Result<T, Error>>,
    hint: impl FnOnce() -> String,
) -> Result<T, Error> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        waited = waiting => waited,
        signal = signals.next() => Err(signal.error().hint(hint())),
    }
}
