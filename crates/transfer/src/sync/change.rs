//! What has to be done at the destination besides copying.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::Difference;
use crate::disk::folder::Kind;
use crate::disk::local_modes::LocalModes;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::script::Change;

/// The changes in the order in which they are made: what removes and replaces comes before the times of the folders that it happens in.
pub(super) fn changes(
    work: &Difference,
    owners: bool,
    swap_from: &str,
) -> Vec<(Change, Vec<MemberPath>)> {
    let found = &work.found;
    let mut changes = Vec::new();
    let mut add = |change, paths: Vec<MemberPath>| {
        if !paths.is_empty() {
            changes.push((change, paths));
        }
    };
    add(
        Change::Swap(swap_from.to_owned()),
        found.swaps.iter().cloned().collect(),
    );
    let (folders, files): (Vec<_>, Vec<_>) = found
        .delete
        .iter()
        .partition(|(_, kind)| **kind == Kind::Folder);
    let name = |(path, _): (&MemberPath, _)| path.clone();
    add(Change::Remove, files.into_iter().map(name).collect());
    add(Change::Empty, folders.into_iter().rev().map(name).collect());

    let mut modes = BTreeMap::<u32, Vec<MemberPath>>::new();
    let mut times = BTreeMap::<Mtime, Vec<MemberPath>>::new();
    for path in found.adjust.union(&found.touched) {
        let (Some(state), Some(there)) = (work.source.get(path), work.target.get(path)) else {
            continue;
        };
        if state.kind == Kind::Link {
            continue;
        }
        if state.mode != there.mode && work.local_modes == LocalModes::Meaningful {
            modes.entry(state.mode).or_default().push(path.clone());
        }
        if !state.same_time(there) || found.touched.contains(path) {
            times.entry(state.modified).or_default().push(path.clone());
        }
    }
    for (mode, paths) in modes {
        add(Change::Mode(mode), paths);
    }
    for (time, paths) in times {
        add(Change::Time(time), paths);
    }
    if owners {
        for (owner, paths) in by_owner(work) {
            add(Change::Owner(owner), paths);
        }
    }
    changes
}

/// All that was copied, and what has another owner.
fn by_owner(work: &Difference) -> BTreeMap<(u32, u32), Vec<MemberPath>> {
    let found = &work.found;
    let everything: BTreeSet<_> = if work.everything {
        work.source.keys().collect()
    } else {
        found
            .send
            .iter()
            .chain(&found.replace)
            .chain(&found.adjust)
            .collect()
    };
    let mut owners = BTreeMap::<(u32, u32), Vec<MemberPath>>::new();
    if let Some(root) = work.new_root.as_ref() {
        owners
            .entry(root.owner)
            .or_default()
            .push(MemberPath::default());
    }
    for path in everything {
        if let Some(state) = work.source.get(path) {
            owners.entry(state.owner).or_default().push(path.clone());
        }
    }
    owners
}
