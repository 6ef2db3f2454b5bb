//! Where the client says what it does.

use std::fmt;

/// Hears what a client does. What an implementation leaves out is not told.
///
/// Secrets are redacted before.
pub trait Log: Send + Sync + fmt::Debug {
    /// Returns whether lines of this level are wanted at all.
    ///
    /// Level 1 is a request that is tried again, level 2 each request and answer, level 3 their headers and bodies.
    fn wants(&self, _level: u8) -> bool {
        false
    }

    /// Takes one line.
    fn line(&self, _level: u8, _text: &str) {}

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
