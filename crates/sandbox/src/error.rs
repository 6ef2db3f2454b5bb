use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a machine could not be made or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its init is not there any more, or another boot has taken its place.
    #[error("the machine is not running")]
    Gone,
    /// This computer or user may not do what a machine needs; the hint is the way out.
    #[error("{problem}: {hint}")]
    Unsupported {
        /// What is missing.
        problem: String,
        /// How to get it, one line.
        hint: String,
    },
    /// Another machine runs on the disk, and two would destroy it.
    #[error("another machine runs on the disk {}", disk.display())]
    DiskInUse {
        /// The upper.
        disk: PathBuf,
    },
    /// A layer of the disk is not there, or lacks a part.
    #[error("layer {} is missing or damaged", layer.display())]
    Layer {
        /// The folder of the layer.
        layer: PathBuf,
    },
    /// A step of a start failed.
    #[error("the machine did not start: {step}: {source}")]
    Boot {
        /// What was being done.
        step: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Nothing was heard for too long.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// Init refused or failed a request.
    #[error("{what}: {source}")]
    Guest {
        /// The path, port or program that was asked for.
        what: String,
        /// The reason inside the machine.
        source: io::Error,
    },
    /// A file of ours could not be read, made or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The socket to init failed.
    #[error("control socket: {0}")]
    Socket(#[source] io::Error),
}

impl Error {
    /// The reason of the kernel, where it gave one: `NotFound`, `IsADirectory`, `StorageFull` …
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Boot { source, .. } | Self::Guest { source, .. } | Self::File { source, .. } => {
                Some(source.kind())
            }
            Self::Socket(source) => Some(source.kind()),
            Self::Gone
            | Self::Unsupported { .. }
            | Self::TimedOut(_)
            | Self::DiskInUse { .. }
            | Self::Layer { .. } => None,
        }
    }

    pub(super) fn file(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn unsupported(problem: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self::Unsupported {
            problem: problem.to_string(),
            hint: hint.to_string(),
        }
    }
}
