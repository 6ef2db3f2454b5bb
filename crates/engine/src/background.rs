//! What goes on where nobody waits for the outcome.

use std::fmt::Display;

/// Failures that hold nobody up and are met again later. They become events.
pub(crate) trait Background {
    /// Warns that something could not be done: `cannot {what}: {error}`.
    fn or_warn(self, what: &str);
}

impl<T, E: Display> Background for Result<T, E> {
    fn or_warn(self, what: &str) {
        if let Err(error) = self {
            tracing::warn!("cannot {what}: {error}");
        }
    }
}
