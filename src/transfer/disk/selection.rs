//! Which entries of a source are copied, when something has decided that beforehand.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::transfer::disk::folder::Kind;
use crate::transfer::format::member_path::MemberPath;

/// Paths below the target; without any, everything. Clones share the paths.
#[derive(Clone, Debug, Default)]
pub struct Selection(Option<Arc<BTreeMap<MemberPath, Picked>>>);

/// What a chosen entry was when it was chosen.
#[derive(Clone, Copy, Debug)]
pub(in crate::transfer) struct Picked {
    pub(in crate::transfer) kind: Kind,
    pub(in crate::transfer) size: u64,
}

impl Selection {
    /// Takes these entries alone, in the order of their paths: folders come before what they hold.
    pub(in crate::transfer) fn of(entries: BTreeMap<MemberPath, Picked>) -> Self {
        Self(Some(Arc::new(entries)))
    }

    /// The chosen entries, if there is a choice.
    pub(in crate::transfer) fn entries(&self) -> Option<&BTreeMap<MemberPath, Picked>> {
        self.0.as_deref()
    }

    /// Content of the chosen files.
    pub(in crate::transfer) fn bytes(&self) -> u64 {
        let sizes = self.entries().into_iter().flatten();
        sizes
            .filter(|(_, picked)| picked.kind == Kind::File)
            .map(|(_, picked)| picked.size)
            .fold(0, u64::saturating_add)
    }
}
