//! From both ends as they were found to what is to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::compare::{self, Comparison, Rules, Take};
use super::difference::Difference;
use super::local_side::LocalSide;
use super::plan::SyncOptions;
use super::remote_side::RemoteSide;
use crate::disk::filter::Filter;
use crate::disk::folder::Kind;
use crate::disk::listing::{EntryState, Listing};
use crate::disk::local_modes::LocalModes;
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::Guest;
use crate::guest::script::Digest;

/// Both ends as they were found.
#[derive(Debug)]
pub(super) struct Sides {
    pub(super) source: Listing,
    pub(super) target: Listing,
    pub(super) here: LocalSide,
    pub(super) there: RemoteSide,
    /// There is nothing at the destination yet.
    pub(super) fresh: bool,
    /// The source folder itself, when it becomes the target.
    pub(super) root: Option<EntryState>,
    /// Where sources are that are neither file, folder nor link.
    pub(super) special: Vec<MemberPath>,
    /// The name of a lone file at the destination.
    pub(super) lone: Option<MemberPath>,
    /// How much of a path at the target names the source: nothing, or its first part.
    pub(super) named: NamedTarget,
    /// What comes before a path that is shown; all of it for a lone file.
    pub(super) shown: PathBuf,
    pub(super) local_modes: LocalModes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedTarget {
    No,
    Yes,
}

/// Compares both ends.
pub(super) async fn decide(
    guest: &impl Guest,
    ends: Sides,
    choice: SyncOptions,
    filter: &Filter,
    doubted_since: Option<Mtime>,
) -> Result<Difference, Error> {
    let everything = ends.fresh || choice.take == Take::All;
    let spared = spared(&ends, filter);
    let mut other_bytes = match choice.take {
        Take::Differing(by) if !everything => {
            compare::doubtful(&ends.source, &ends.target, by, doubted_since)
        }
        _ => BTreeSet::new(),
    };
    let (ours, theirs) = hash(guest, &ends.here, &ends.there, other_bytes.clone()).await?;
    other_bytes.retain(|path| !ours.contains_key(path) || ours.get(path) != theirs.get(path));
    let rules = Rules {
        take: choice.take,
        delete: choice.delete,
        owners: choice.owners,
        modes: ends.local_modes == LocalModes::Meaningful,
        other_bytes: &other_bytes,
        spared: &spared,
    };
    let found = if everything {
        Comparison::default()
    } else {
        compare::compare(&ends.source, &ends.target, &rules)
    };
    let work = Difference {
        new_root: ends.root.filter(|_| ends.fresh),
        source: ends.source,
        target: ends.target,
        here: ends.here,
        there: ends.there,
        everything,
        found,
        lone: ends.lone,
        shown: ends.shown,
        local_modes: ends.local_modes,
    };
    match work.found.clashes.as_slice() {
        [] => Ok(work),
        [first, rest @ ..] => {
            let called = |side: &Listing| side.get(first).map_or("nothing", |at| at.kind.called());
            Err(Error::OtherKind {
                there: called(&work.target),
                wanted: called(&work.source),
                path: work.show(first).display().to_string(),
                more: rest.len(),
            })
        }
    }
}

/// Hashes the same files at both ends at once.
pub(super) async fn hash(
    guest: &impl Guest,
    here: &LocalSide,
    there: &RemoteSide,
    paths: BTreeSet<MemberPath>,
) -> Result<(BTreeMap<MemberPath, Digest>, BTreeMap<MemberPath, Digest>), Error> {
    if paths.is_empty() {
        return Ok(Default::default());
    }
    let (here, ours) = (here.clone(), paths.clone());
    let (ours, theirs) = tokio::join!(
        tokio::task::spawn_blocking(move || here.hash(&ours)),
        there.hash(guest, &paths)
    );
    let ours = ours.map_err(|error| Error::Worker(error.to_string()))??;
    Ok((ours, theirs?))
}

/// What nobody may remove: what a filter hides, what stands where the source has something that can't be copied, and what another copy is at.
fn spared(ends: &Sides, filter: &Filter) -> BTreeSet<MemberPath> {
    let mut spared: BTreeSet<_> = ends.special.iter().cloned().collect();
    for (path, state) in &ends.target {
        let inner = match ends.named {
            NamedTarget::No => Some(path.clone()),
            NamedTarget::Yes => path.without_first(),
        };
        let hidden =
            inner.is_some_and(|inner| filter.leaves_out(&inner, state.kind == Kind::Folder));
        if hidden || path.parts().any(is_stage) {
            spared.insert(path.clone());
        }
    }
    spared
}

fn is_stage(part: &[u8]) -> bool {
    part.strip_prefix(b".fastvm-")
        .is_some_and(|rest| rest.len() == 32 && rest.iter().all(u8::is_ascii_hexdigit))
}
