//! What both ends of a comparison know about an entry.

use std::collections::BTreeMap;

use crate::disk::folder::{Kind, Meta};
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;

/// One end: entries by their path below the target.
pub(crate) type Listing = BTreeMap<MemberPath, EntryState>;

/// One entry at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryState {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// Permission bits, without set-uid and set-gid.
    pub(crate) mode: u32,
    pub(crate) modified: Mtime,
    pub(crate) owner: (u32, u32),
    /// What a link says; empty for anything else.
    pub(crate) link: Vec<u8>,
}

impl EntryState {
    /// What the system says about an entry here.
    pub(crate) fn new(meta: &Meta, link: Vec<u8>) -> Self {
        Self {
            kind: meta.kind,
            size: meta.size,
            mode: meta.mode,
            modified: meta.modified,
            owner: meta.owner,
            link,
        }
    }

    pub(crate) fn same_time(&self, other: &Self) -> bool {
        self.modified.agrees_with(other.modified)
    }
}
