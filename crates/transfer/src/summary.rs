//! What a finished transfer did.

use std::fmt;
use std::path::PathBuf;

/// Counts of a finished transfer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Files and links.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Bytes that crossed the network, compressed.
    pub wire_bytes: u64,
    /// Files and links that needed nothing, when both ends were compared.
    pub unchanged: u64,
    /// Files that an earlier try of the same copy had brought.
    pub continued: u64,
    /// Bytes of these, and of parts of large files that an earlier try had brought.
    pub continued_bytes: u64,
    /// Paths that only got another mode, time or owner.
    pub adjusted: u64,
    /// Paths removed at the destination.
    pub deleted: u64,
    /// Wall clock time.
    pub seconds: f64,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

impl Summary {
    /// Takes in what another part of the same transfer did.
    pub(super) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.bytes += other.bytes;
        self.wire_bytes += other.wire_bytes;
        self.unchanged += other.unchanged;
        self.continued += other.continued;
        self.continued_bytes += other.continued_bytes;
        self.adjusted += other.adjusted;
        self.deleted += other.deleted;
        self.skipped.extend(other.skipped);
    }
}

/// One path that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// As it stands below the source.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a path was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// A socket, pipe or device.
    Special,
    /// It was gone when its turn came.
    Vanished,
    /// It can't be read, and the request said to keep going.
    Unreadable,
    /// It changed meanwhile, and the request said to keep going.
    Changed,
    /// There is something at the destination, and the request said to leave that.
    Existing,
    /// This machine cannot have its name, or not beside another that differs only in case, and the request said to keep going.
    Name,
    /// A link that may not be made on this machine.
    Link,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Special => "not a file, folder or link",
            Self::Vanished => "vanished",
            Self::Unreadable => "cannot be read",
            Self::Changed => "changed while being read",
            Self::Existing => "already there",
            Self::Name => "cannot have this name here",
            Self::Link => "a link that may not be made here",
        })
    }
}
