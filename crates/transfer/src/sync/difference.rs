//! One folder or file with both its ends compared.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::compare::Comparison;
use super::local_side::LocalSide;
use super::plan::PlanSummary;
use super::remote_side::RemoteSide;
use crate::disk::folder::Kind;
use crate::disk::listing::{EntryState, Listing};
use crate::disk::local_modes::LocalModes;
use crate::disk::selection::{Picked, Selection};
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;
use crate::guest::script::Change;
use crate::summary::{SkipReason, Skipped};

/// What is to be done about both ends.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) source: Listing,
    pub(super) target: Listing,
    pub(super) here: LocalSide,
    pub(super) there: RemoteSide,
    /// All of the source is copied, without a selection.
    pub(super) everything: bool,
    /// The source folder, when the target is made after it.
    pub(super) new_root: Option<EntryState>,
    pub(super) found: Comparison,
    /// The name of a lone file at the destination.
    pub(super) lone: Option<MemberPath>,
    /// What comes before a path that is shown; all of it for a lone file.
    pub(super) shown: PathBuf,
    pub(super) local_modes: LocalModes,
}

impl Difference {
    pub(super) fn sends(&self) -> bool {
        self.everything || !self.found.send.is_empty()
    }

    /// The selection of what is copied to its place.
    pub(super) fn selection(&self) -> Selection {
        if self.everything {
            Selection::default()
        } else {
            self.pick(&self.found.send)
        }
    }

    /// The selection of what replaces something of another kind.
    pub(super) fn replacing(&self) -> Selection {
        self.pick(&self.found.replace)
    }

    fn pick(&self, paths: &BTreeSet<MemberPath>) -> Selection {
        let picked = paths.iter().filter_map(|path| {
            let state = self.source.get(path)?;
            let (kind, size) = (state.kind, state.size);
            Some((path.clone(), Picked { kind, size }))
        });
        Selection::of(picked.collect())
    }

    /// Files whose content is copied.
    pub(super) fn copied_files(&self) -> BTreeSet<MemberPath> {
        let found = &self.found;
        let copied = |path: &MemberPath| {
            self.everything || found.send.contains(path) || found.replace.contains(path)
        };
        let files = self
            .source
            .iter()
            .filter(|(path, state)| state.kind == Kind::File && copied(path));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// What is gone in the end: removed, or replaced by something of another kind.
    pub(super) fn removed(&self) -> Vec<&MemberPath> {
        let found = &self.found;
        let gone = |path: &&MemberPath| {
            found.delete.contains_key(*path)
                || found
                    .swaps
                    .iter()
                    .any(|swap| *path == swap || path.is_below(swap))
        };
        if found.delete.is_empty() && found.swaps.is_empty() {
            return Vec::new();
        }
        self.target.keys().filter(gone).collect()
    }

    /// Files and links that stay because nothing may be replaced.
    pub(super) fn kept(&self) -> Vec<Skipped> {
        let kept = self.found.kept.iter().map(|path| Skipped {
            path: self.show(path),
            reason: SkipReason::Existing,
        });
        kept.collect()
    }

    /// Adds what it would do.
    pub(super) fn tell(&self, outlook: &mut PlanSummary) {
        let found = &self.found;
        if self.everything {
            outlook
                .sent
                .extend(self.source.keys().map(|path| self.show(path)));
        } else {
            let sent = found.send.union(&found.replace);
            outlook.sent.extend(sent.map(|path| self.show(path)));
        }
        outlook
            .adjusted
            .extend(found.adjust.iter().map(|path| self.show(path)));
        outlook
            .removed
            .extend(self.removed().into_iter().map(|path| self.show(path)));
        outlook.unchanged += found.unchanged;
        outlook.skipped.extend(self.kept());
    }

    /// Where a lone file stands at the destination: below the folder that it is in.
    pub(super) fn rebased(
        &self,
        mut changes: Vec<(Change, Vec<MemberPath>)>,
    ) -> Vec<(Change, Vec<MemberPath>)> {
        if let Some(name) = &self.lone {
            for path in changes.iter_mut().flat_map(|(_, paths)| paths) {
                *path = name.clone();
            }
        }
        changes
    }

    pub(super) fn show(&self, path: &MemberPath) -> PathBuf {
        if path.is_root() {
            self.shown.clone()
        } else {
            self.shown.join(path_bytes::shown(path.as_bytes()))
        }
    }
}
