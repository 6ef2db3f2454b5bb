//! What a caller asks of a transfer.

use std::fmt;
#[cfg(unix)]
use std::fs::File;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::disk::filter::Filter;
use crate::disk::local_modes::LocalModes;
use crate::disk::selection::Selection;
use crate::disk::tree::Chosen;
use crate::engine::rate_limit::RateLimit;
use crate::engine::shards::Shards;
use crate::options::{Compression, Incomplete, Links};
use crate::resume::cleanup::Cleanup;

/// A copy from this machine into a VM.
#[derive(Debug)]
pub struct UploadRequest {
    /// What to send.
    pub source: UploadSource,
    /// Where it goes.
    pub target: RemotePath,
    /// How.
    pub settings: Settings,
}

/// A copy from a VM to this machine.
#[derive(Debug)]
pub struct DownloadRequest {
    /// Paths in the VM; at least one.
    pub sources: Vec<RemotePath>,
    /// Where they go.
    pub target: DownloadTarget,
    /// How.
    pub settings: Settings,
}

/// A path in a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePath {
    /// Absolute, or below the guest's home.
    pub path: String,
    /// It is a folder that the copy goes into. Without meaning for a source.
    pub into: bool,
}

/// What an upload sends.
pub enum UploadSource {
    /// Local files and folders; at least one.
    Paths(Vec<PathBuf>),
    /// A file or folder that is open already, wherever its name leads by now.
    #[cfg(unix)]
    Held {
        /// What is open.
        handle: File,
        /// How messages name it. The last part is its name in the VM if it goes into a folder.
        shown: PathBuf,
    },
    /// The bytes of one file, read to their end.
    Stream(Box<dyn AsyncRead + Send + Unpin>),
}

impl fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paths(paths) => f.debug_tuple("Paths").field(paths).finish(),
            #[cfg(unix)]
            Self::Held { shown, .. } => f.debug_tuple("Held").field(shown).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Where a download goes.
pub enum DownloadTarget {
    /// A local path.
    Path {
        /// The path.
        path: PathBuf,
        /// It is a folder that the copy goes into.
        into: bool,
    },
    /// A local path that is not followed where it is a link.
    Exact(PathBuf),
    /// The bytes of a file as they are, or a folder as a tar archive. Written before everything is checked: only success says it is whole.
    Stream(Box<dyn AsyncWrite + Send + Unpin>),
}

impl fmt::Debug for DownloadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, into } => f
                .debug_struct("Path")
                .field("path", path)
                .field("into", into)
                .finish(),
            Self::Exact(path) => f.debug_tuple("Exact").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// How a transfer is done.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What happens when some sources can't be read.
    pub incomplete: Incomplete,
    /// How the bytes travel.
    pub compression: Compression,
    /// What is left out of folders.
    pub filter: Filter,
    /// What becomes of symbolic links.
    pub links: Links,
    /// What the modes of local files say.
    pub local_modes: LocalModes,
    /// Which entries are copied, where that is decided beforehand.
    pub only: Selection,
    /// How fast bytes may go.
    pub rate_limit: RateLimit,
    /// How it is cut into shards.
    pub shards: Shards,
    /// Keeps track of what stands in the VM, for a caller that drops the transfer.
    pub cleanup: Cleanup,
}

impl Settings {
    /// What is taken of the sources.
    pub(crate) fn chosen(&self) -> Chosen {
        Chosen {
            filter: self.filter.clone(),
            links: self.links,
            local_modes: self.local_modes,
            only: self.only.clone(),
            ..Chosen::default()
        }
    }

    /// What it means that something can't be read.
    pub(crate) fn what_counts(&self) -> (Incomplete, Links) {
        (self.incomplete, self.links)
    }

    /// Returns whether what arrived in an earlier try need not come again: not where a comparison has chosen, which knows better.
    pub(crate) fn trusts_notes(&self) -> bool {
        self.only.entries().is_none()
    }
}
