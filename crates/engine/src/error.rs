//! Why an engine does not start or a data folder cannot be worked on.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::disk::Space;
use super::{engine, reserve};

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
    #[error("cannot open the state in {}: {}", path.display(), explain(source))]
    Store {
        /// The database file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The database is no good any more.
    #[error("the state in {} is damaged: {problem}", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The database is empty and knows nothing of what is there.
    #[error("the state in {} is empty, but {remains}", path.display())]
    Lost {
        /// The database file.
        path: PathBuf,
        /// What is there, in words.
        remains: String,
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
    /// The file that holds the API key holds none.
    #[error("the key in {} is damaged: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no room for what the engine must write.
    #[error("the disk of {} is full", path.display())]
    Full {
        /// The data folder.
        path: PathBuf,
    },
    /// The clock is set to a time that HTTP cannot tell.
    #[error(
        "the clock of this computer says {now}, and an engine cannot serve before 1970: set the clock first"
    )]
    Clock {
        /// What it says.
        now: jiff::Timestamp,
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
    Sandbox(#[from] fastvm_sandbox::Error),
    /// The data folder is another user's. Even to look at it would change it.
    #[error("{} belongs to user {owner}: run fastvm as that user, or name another folder in FASTVM_LOCAL_DIR", path.display())]
    Foreign {
        /// The data folder.
        path: PathBuf,
        /// The number of its user.
        owner: u32,
    },
    /// An engine works on the data folder.
    #[error("an engine is working on {}{}: stop it first", path.display(), processes(holders))]
    Busy {
        /// The data folder.
        path: PathBuf,
        /// The processes that hold it, as far as they are known.
        holders: Vec<i32>,
    },
    /// There is no such VM, it does not run, or the engine failed.
    #[error("{0}")]
    Refused(String),
    /// The system gave no thread, no runtime or no random bytes.
    #[error("cannot start the local engine: {0}")]
    System(io::Error),
}

/// The ways out of a state that is no good.
const WAYS_OUT: &str = "bring back what can be with `fastvm local repair`, or delete everything with `fastvm local reset`";

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl Error {
    /// What to do about it, where that is not in the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Damaged { .. } | Self::Lost { .. } | Self::Key { .. } => Some(WAYS_OUT),
            Self::Full { .. } => Some(
                "delete a VM with `fastvm --local rm`, or everything with `fastvm local reset`",
            ),
            _ => None,
        }
    }

    /// Names the file or folder that an input or output error is about.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Says what is wrong with a database.
    pub(crate) fn store(path: &Path) -> impl Fn(rusqlite::Error) -> Self + '_ {
        move |source| {
            let damaged = |problem: String| Self::Damaged {
                path: path.to_owned(),
                problem,
            };
            if is_full(&source) || (is_io(&source) && has_no_room(path)) {
                let folder = path.parent().unwrap_or(path).to_owned();
                return Self::Full { path: folder };
            }
            let is_closed = matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly)
            );
            match why_closed(path).filter(|_| is_closed) {
                Some((file, error)) if is_of_file(&error) => {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    return damaged(format!("{name}: {error}"));
                }
                Some((file, error)) => return Self::at(file)(error),
                None => {}
            }
            if is_damage(&source) || (is_io(&source) && !has_header(path)) {
                return damaged(source.to_string());
            }
            Self::Store {
                path: path.to_owned(),
                source,
            }
        }
    }

    /// Returns whether there was no room for what had to be written.
    pub(crate) fn is_full(&self) -> bool {
        let is_full_kind = |kind| {
            matches!(
                kind,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            )
        };
        match self {
            Self::Full { .. } => true,
            Self::File { source, .. } => is_full_kind(source.kind()),
            Self::Sandbox(error) => error.kind().is_some_and(is_full_kind),
            Self::Store { source, .. } => is_full(source),
            _ => false,
        }
    }
}

/// Says what SQLite says in words that name the way out.
pub(crate) fn explain(error: &rusqlite::Error) -> String {
    if is_full(error) {
        return "the disk is full".to_owned();
    }
    if is_damage(error) {
        return format!("{error}: {WAYS_OUT}");
    }
    match getrlimit(Resource::Fsize).current {
        Some(limit) if is_io(error) => format!(
            "{error}: this process may write files of {} KiB at most (`ulimit -f`)",
            limit / 1024
        ),
        _ => error.to_string(),
    }
}

/// Returns whether SQLite had no room.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn is_io(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// Returns whether a database is no good: SQLite says so, or what is in it is not what was written.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            // A file that ends before it should.
            failure.extended_code == SQLITE_IOERR_SHORT_READ
                || matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
                )
                || error.to_string().contains("no such ")
                || error.to_string().contains("already exists")
        }
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

/// Returns whether a file begins as every SQLite database does.
fn has_header(path: &Path) -> bool {
    let mut header = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header == *b"SQLite format 3\0"
}

fn has_no_room(path: &Path) -> bool {
    Space::of(path.parent().unwrap_or(path)).is_some_and(reserve::is_needed)
}

/// Which file of a database cannot be opened, and why. `None` if all can.
fn why_closed(path: &Path) -> Option<(PathBuf, io::Error)> {
    let files = ["db", "db-wal", "db-shm"].map(|ending| path.with_extension(ending));
    files.into_iter().find_map(|file| {
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&file);
        match opened {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Some((file, error)),
            _ => None,
        }
    })
}

/// Returns whether a file cannot be opened because of what it is, so that another one in its place could.
pub(super) fn is_of_file(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ISDIR | Errno::ACCESS | Errno::PERM | Errno::NOTDIR | Errno::LOOP)
    )
}

fn processes(numbers: &[i32]) -> String {
    let list: Vec<_> = numbers.iter().map(i32::to_string).collect();
    match list.len() {
        0 => String::new(),
        1 => format!(" (process {})", list[0]),
        _ => format!(" (processes {})", list.join(", ")),
    }
}
