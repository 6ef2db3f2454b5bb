//! What the caller should hear of while a call is under way. What is done otherwise are events of `tracing`.

use std::fmt;

/// Hears what concerns the user of a client. What an implementation leaves out is not told.
///
/// Requests, answers and retries are not told here but with `tracing`: a retry as `INFO`, each request and answer as `DEBUG`,
/// their headers and bodies as `TRACE`. Secrets are redacted in both.
pub trait Log: Send + Sync + fmt::Debug {
    /// Hears that a request is sent which may change what there is.
    fn changes(&self) {}

    /// Takes what the user should know although nothing has failed yet.
    fn warn(&self, _text: &str) {}

    /// Takes a request that a dry run does not send, as a `curl` line.
    fn not_sent(&self, _curl: &str) {}
}

/// Wants to hear nothing.
#[derive(Debug)]
pub(crate) struct NoLog;

impl Log for NoLog {}
