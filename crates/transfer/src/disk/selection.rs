//! Which entries of a source are copied, when something has decided that beforehand.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::folder::Kind;
use crate::format::member_path::MemberPath;

/// Paths below the target; without any, everything. Clones share the paths.
#[derive(Clone, Debug, Default)]
pub struct Selection(Option<Arc<BTreeMap<MemberPath, Picked>>>);

/// What a chosen entry was when it was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picked {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
}

impl Selection {
    /// Takes these entries alone, in the order of their paths: folders come before what they hold.
    pub(crate) fn of(entries: BTreeMap<MemberPath, Picked>) -> Self {
        Self(Some(Arc::new(entries)))
    }

    /// The chosen entries, if there is a choice.
    pub(crate) fn entries(&self) -> Option<&BTreeMap<MemberPath, Picked>> {
        self.0.as_deref()
    }

    /// Content of the chosen files.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.entries().into_iter().flatten();
        sizes
            .filter(|(_, picked)| picked.kind == Kind::File)
            .map(|(_, picked)| picked.size)
            .fold(0, u64::saturating_add)
    }
}
