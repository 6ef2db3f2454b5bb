//! Requests that make something: cut off by a signal, they would leave a thing that nobody knows of.

use crate::error::Error;
use crate::signal::{Signal, Signals};

/// Waits for the answer to a request that makes something, although a signal comes meanwhile. The signal is the failure then, and `left`
/// says what was made; a second one leaves at once, with the hint `look`.
pub(crate) async fn wait_for_answer<T>(
    making: impl Future<Output = Result<T, Error>>,
    look: impl Into<String>,
    left: impl FnOnce(Error, &T) -> Error,
) -> Result<T, Error> {
    let mut signals = Signals::listen()?;
    match signals.outlast(making).await {
        Ok((made, None)) => made,
        Ok((Ok(made), Some(signal))) => Err(left(signal.error(), &made)),
        Ok((Err(error), Some(signal))) => Err(interrupted(signal, &error)),
        Err(first) => Err(first.error().hint(look)),
    }
}

/// A request that failed while we were told to end: the signal is the failure, but what may be left is not kept secret.
pub(crate) fn interrupted(signal: Signal, error: &Error) -> Error {
    let interrupted = signal.error().also(error.message());
    match error.hint_text() {
        Some(hint) => interrupted.hint(hint),
        None => interrupted,
    }
}
