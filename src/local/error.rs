//! Why an engine does not start or a data folder cannot be worked on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{engine, sandbox};
use crate::error::{Error as Failure, Kind};

/// Why an engine does not start or a data folder cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the engine cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the state in {}: {source}", path.display())]
    Store {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The database was written by a newer version.
    #[error("the state in {} is of format {found}, newer than {known}: update fastvm", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this version knows.
        known: i64,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// This computer or user cannot have isolated machines.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// The data folder is another user's. Even to look at it would change it.
    #[error("{} belongs to user {owner}: run fastvm as that user, or name another folder in FASTVM_LOCAL_DIR", path.display())]
    Foreign {
        /// The data folder.
        path: PathBuf,
        /// The number of its user.
        owner: u32,
    },
    /// An engine works on the data folder.
    #[error("an engine is working on {}: stop it first", path.display())]
    Busy {
        /// The data folder.
        path: PathBuf,
    },
    /// There is no such VM, it does not run, or the engine failed.
    #[error("{0}")]
    Refused(String),
    /// The system gave no thread, no runtime or no random bytes.
    #[error("cannot start the local engine: {0}")]
    System(io::Error),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Kind::Engine, error.to_string())
    }
}

impl Error {
    /// Names the file or folder that an input or output error is about.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
