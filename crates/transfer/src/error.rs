//! Why a transfer failed, and on what.

use std::io;
use std::path::PathBuf;

/// A failed transfer. Every destination path is wholly old or wholly new when one of these is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument of the command makes no sense.
    #[error("'{argument}': {reason}")]
    Argument {
        /// As it was written.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request is understood but will not be carried out.
    #[error("{path}: {reason}")]
    Refused {
        /// What it is about.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Nothing is at the local source path.
    #[error("{}: no such file or folder", .0.display())]
    LocalMissing(PathBuf),
    /// Nothing is at the source path in the VM.
    #[error("{0}: no such file or folder in the VM")]
    RemoteMissing(String),
    /// What stands at a destination path is of another kind than what should go there.
    #[error("{path}: {reason}")]
    Conflict {
        /// The destination path.
        path: String,
        /// What is there.
        reason: String,
    },
    /// What stands at a destination path is of another kind than what should go there, and nothing may be removed.
    #[error("cannot replace {there} with {wanted}: {path}{}", more_paths(*.more))]
    OtherKind {
        /// What is there, with its article.
        there: &'static str,
        /// What should go there, with its article.
        wanted: &'static str,
        /// The first such path, below the destination.
        path: String,
        /// How many more there are.
        more: usize,
    },
    /// A local read or write failed.
    #[error("{}: cannot {action}", path.display())]
    Local {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Reading standard input or writing standard output failed.
    #[error("cannot {action}")]
    Stream {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// Some sources can't be read; nothing was sent.
    #[error("{} cannot be read: {}", count(.0.len()), list(.0))]
    Unreadable(Vec<PathBuf>),
    /// Some sources changed meanwhile for any of the attempts.
    #[error("{} changed while being read: {}", count(.0.len()), list(.0))]
    Changed(Vec<PathBuf>),
    /// A command in the VM failed.
    #[error("the VM could not {action}{}", tail(.stderr))]
    Guest {
        /// What it was to do, as a verb phrase.
        action: String,
        /// Exit code of the command.
        code: i32,
        /// End of its standard error, with control characters and URL queries removed.
        stderr: String,
    },
    /// Something in the VM cannot be read; nothing was copied.
    #[error("not everything can be read in the VM: {0}")]
    GuestUnreadable(String),
    /// A command in the VM reached its time limit.
    #[error("the VM did not {0} in time")]
    GuestTimeout(String),
    /// The VM lacks a program that the transfer needs.
    #[error("the VM has no '{0}', which this copy needs")]
    GuestTool(&'static str),
    /// What arrived is not what was sent.
    #[error("{path}: {reason}")]
    Integrity {
        /// The file, or the member of the archive.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// There is not enough room for what is to be written.
    #[error("{place}: no space left{}", tail(.detail))]
    NoSpace {
        /// The side and the path.
        place: String,
        /// How much is needed and free, or what the VM said.
        detail: String,
    },
    /// The target in the VM takes no files.
    #[error("{0} in the VM: read-only, or only its owner may write to it")]
    ReadOnly(String),
    /// The service takes no object of this size.
    #[error("{bytes} bytes are more than the {limit} that one upload may have")]
    TooLarge {
        /// Bytes to send.
        bytes: u64,
        /// The service's limit.
        limit: u64,
    },
    /// The API or the storage failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The program itself is at fault: a worker thread was lost.
    #[error("internal error: {0}")]
    Worker(String),
}

impl Error {
    /// A local failure, with "not found" left to the caller to tell apart.
    pub(super) fn local(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Local {
            action,
            path: path.into(),
            source,
        }
    }

    /// Content that isn't what it should be.
    pub(super) fn integrity(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Integrity {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// What kind of failure a [`RemoteError`] is, as far as a transfer acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteClass {
    /// The network or a busy server: the same request may work in a moment. Also a stall.
    Retryable,
    /// Nobody heard how a command in the VM ended, and it is over: it may be run again where it does the same again.
    Lost,
    /// The signed URL is no longer valid; a new one may be asked for.
    Expired,
    /// Anything else: trying again does not help.
    Final,
}

/// A failure of the API or the storage, carried through unchanged.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct RemoteError {
    class: RemoteClass,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl RemoteError {
    /// Wraps the caller's own error; its text must hold no URL.
    pub fn new(
        class: RemoteClass,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            class,
            source: source.into(),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> RemoteClass {
        self.class
    }

    /// The caller's own error again, to be downcast.
    #[must_use]
    pub fn into_source(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.source
    }
}

const MOST_LISTED: usize = 10;

fn count(number: usize) -> String {
    if number == 1 {
        "1 path".to_owned()
    } else {
        format!("{number} paths")
    }
}

fn more_paths(number: usize) -> String {
    match number {
        0 => String::new(),
        1 => ", and 1 more path is of another kind".to_owned(),
        _ => format!(", and {number} more paths are of other kinds"),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let mut text = paths
        .iter()
        .take(MOST_LISTED)
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > MOST_LISTED {
        text.push_str(", …");
    }
    text
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_and_the_first_ten_are_listed() {
        let paths = |count| (0..count).map(|n| PathBuf::from(format!("p{n}"))).collect();
        let shown = |count| Error::Changed(paths(count)).to_string();
        assert!(shown(1).contains("1 path "), "{}", shown(1));
        assert!(shown(10).ends_with("p8, p9"), "{}", shown(10));
        assert!(shown(11).ends_with("p9, …"), "{}", shown(11));
        assert!(shown(11).contains("11 paths "), "{}", shown(11));
        assert_eq!(more_paths(0), "");
        assert_eq!(more_paths(1), ", and 1 more path is of another kind");
        assert_eq!(more_paths(2), ", and 2 more paths are of other kinds");
    }
}
