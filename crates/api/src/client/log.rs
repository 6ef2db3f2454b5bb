//! Where the client says what it does.

use std::fmt;

/// Takes lines about requests: level 2 is a request, level 3 its headers and bodies. Secrets are redacted before.
pub trait Log: Send + Sync + fmt::Debug {
    /// Returns whether lines of this level are wanted at all.
    fn wants(&self, level: u8) -> bool;

    /// Takes one line.
    fn line(&self, level: u8, text: &str);

    /// Hears that a request is sent which may change what there is.
    fn changes(&self);

    /// Takes what the user should know although nothing has failed yet.
    fn warn(&self, text: &str);

    /// Takes a request that a dry run does not send, as a `curl` line.
    fn not_sent(&self, curl: &str);
}
