//! What can go wrong while something is printed or asked.

use std::io;

use crate::error::{Error as Failure, Kind};

/// Failure of the output room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever read stdout has gone; the program ends quietly.
    #[error("the reader of the output is gone")]
    BrokenPipe,
    /// stdout refused the data: a full disk, a bad device.
    #[error("cannot write output: {0}")]
    Write(#[source] io::Error),
    #[error("no column '{column}'; the columns are {known}")]
    UnknownColumn { column: String, known: String },
    #[error("invalid sort order '{0}': write COLUMN, COLUMN:asc or COLUMN:desc")]
    NoSortOrder(String),
    /// The filter is wrong before any data is seen.
    #[error("the jq filter is wrong at character {position}: {message}")]
    Filter { position: usize, message: String },
    /// The filter met data that it does not fit.
    #[error("the jq filter failed: {0}")]
    FilterRun(String),
    #[error("cannot print the answer as {format}: {message}")]
    Unprintable {
        format: &'static str,
        message: String,
    },
    /// A question without a terminal, or with `--no-input`.
    #[error("cannot ask '{question}' without a terminal")]
    CannotAsk { question: String },
    #[error("cannot read the answer from the terminal: {0}")]
    ReadAnswer(#[source] io::Error),
    /// What a command did could not be printed, though it was done.
    #[error("{source}")]
    Untold { source: Box<Error>, done: String },
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe || is_left_pipe(&error) {
            Self::BrokenPipe
        } else {
            Self::Write(error)
        }
    }
}

/// Returns whether Windows says that the other end of a pipe was closed, in words that the standard library does not know.
fn is_left_pipe(error: &io::Error) -> bool {
    const PIPE_NOT_CONNECTED: i32 = 233;
    cfg!(windows) && error.raw_os_error() == Some(PIPE_NOT_CONNECTED)
}

impl Error {
    /// Returns whether the user wrote something that can never work here: exit code 2.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::UnknownColumn { .. }
            | Self::NoSortOrder(_)
            | Self::Filter { .. }
            | Self::FilterRun(_)
            | Self::CannotAsk { .. } => true,
            Self::Untold { source, .. } => source.is_usage(),
            Self::BrokenPipe | Self::Write(_) | Self::Unprintable { .. } | Self::ReadAnswer(_) => {
                false
            }
        }
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::CannotAsk { .. } => Some("pass --yes to go ahead without the question"),
            Self::Filter { .. } | Self::FilterRun(_) => Some("see the whole JSON with -o json"),
            Self::Untold { done, .. } => Some(done),
            _ => None,
        }
    }
}

impl Error {
    /// The same failure, which says what was done all the same. A reader who has gone wants to hear nothing.
    pub(super) fn although(self, done: &str) -> Self {
        match self {
            Self::BrokenPipe => self,
            error => Self::Untold {
                done: format!("it was done all the same: {done}"),
                source: Box::new(error),
            },
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::BrokenPipe => Kind::BrokenPipe,
            Self::Unprintable { .. } => Kind::Server,
            Self::Untold { source, .. } => source.kind(),
            _ if self.is_usage() => Kind::Usage,
            _ => Kind::LocalIo,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.kind(), error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
