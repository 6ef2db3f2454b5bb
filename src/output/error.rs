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
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Write(error),
        }
    }
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
            Self::BrokenPipe | Self::Write(_) | Self::Unprintable { .. } | Self::ReadAnswer(_) => {
                false
            }
        }
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::CannotAsk { .. } => Some("pass --yes to go ahead without the question"),
            Self::Filter { .. } | Self::FilterRun(_) => Some("see the whole JSON with -o json"),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::BrokenPipe => Kind::BrokenPipe,
            Error::Unprintable { .. } => Kind::Server,
            _ if error.is_usage() => Kind::Usage,
            _ => Kind::LocalIo,
        };
        let failure = Self::new(kind, error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
