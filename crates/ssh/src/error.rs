//! Why a connection ended before its time.

use std::io;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The byte stream broke.
    #[error("the connection with the SSH client broke: {0}")]
    Io(#[from] io::Error),
    /// The client said what no client may, or wants what this server has not.
    #[error("the SSH client {0}")]
    Client(&'static str),
    /// The client has no key that may log in, or does not prove that it has one.
    #[error("the SSH client did not log in with the key that `fastvm ssh` made")]
    NotLoggedIn,
}
