//! What can be wrong with a request.

use std::io;

/// Why a verb was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request is malformed or breaks a stated limit.
    #[error("{0}")]
    Invalid(String),
    /// The request is well-formed, but this engine cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// There is no such thing.
    #[error("{kind} {id:?} not found")]
    NotFound {
        /// `vm`, `snapshot` …
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The thing is in a state that does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The account may not have more.
    #[error("{0}")]
    OverQuota(String),
    /// The database failed.
    #[error("the state of the local engine: {}", crate::explain(.0))]
    Store(#[from] rusqlite::Error),
    /// The machine or the making of one failed.
    #[error(transparent)]
    Sandbox(#[from] fastvm_sandbox::Error),
    /// A file of the engine failed.
    #[error("{what}: {source}")]
    File {
        /// What was done, and on what.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// A thread of the engine ended without an answer.
    #[error("the local engine failed while it worked on this: {0}")]
    Broken(String),
}

impl Error {
    pub(crate) fn no_vm(id: &str) -> Self {
        Self::NotFound {
            kind: "vm",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_snapshot(id: &str) -> Self {
        Self::NotFound {
            kind: "snapshot",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_volume(id: &str) -> Self {
        Self::NotFound {
            kind: "volume",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_credential(id: &str) -> Self {
        Self::NotFound {
            kind: "volume credential",
            id: id.to_owned(),
        }
    }

    /// Says what was being done when an input or output error came.
    pub(crate) fn file(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }
}
