//! What a copy has to do, from what is at both ends. Nothing here looks at a disk or a VM.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::folder::Kind;
use crate::disk::listing::{EntryState, Listing};
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;

/// Which entries of the source are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Take {
    /// All of them, whatever is at the destination.
    #[default]
    All,
    /// What differs from the destination.
    Differing(CompareBy),
    /// What the destination lacks; nothing there is touched.
    Absent,
}

/// What proves that a file of the same size is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompareBy {
    /// The time it was changed.
    #[default]
    Time,
    /// The sha256 of its bytes.
    Checksum,
}

/// How two ends are compared.
#[derive(Clone, Debug)]
pub(super) struct Rules<'a> {
    pub(super) take: Take,
    /// Whether what the source lacks goes.
    pub(super) delete: bool,
    /// Whether owners are kept.
    pub(super) owners: bool,
    /// Whether the modes of both ends say the same.
    pub(super) modes: bool,
    /// Files of equal size whose bytes were compared and are not equal.
    pub(super) other_bytes: &'a BTreeSet<MemberPath>,
    /// Paths at the destination that nobody may remove, with what is below them.
    pub(super) spared: &'a BTreeSet<MemberPath>,
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// To be copied, with the folders above it.
    pub(super) send: BTreeSet<MemberPath>,
    /// To be copied, while something of another kind makes room; with all that is below.
    pub(super) replace: BTreeSet<MemberPath>,
    /// The topmost of those.
    pub(super) swaps: BTreeSet<MemberPath>,
    /// Only another mode, time or owner is needed.
    pub(super) adjust: BTreeSet<MemberPath>,
    /// Folders in which something goes or is replaced, so that they need their time again.
    pub(super) touched: BTreeSet<MemberPath>,
    /// To be removed, folders before what they hold.
    pub(super) delete: BTreeMap<MemberPath, Kind>,
    /// What stands in the way though nothing may be replaced, or holds what may not be removed.
    pub(super) clashes: Vec<MemberPath>,
    /// Files and links that stay as they are though the source has another.
    pub(super) kept: Vec<MemberPath>,
    /// Files and links that need nothing.
    pub(super) unchanged: u64,
}

/// Files of which only the bytes tell whether they differ: where these count, all of the same size. Where the time counts, those of the
/// same size and time that were changed at `since` or later.
pub(super) fn doubtful(
    source: &Listing,
    target: &Listing,
    by: CompareBy,
    since: Option<Mtime>,
) -> BTreeSet<MemberPath> {
    let is_doubtful = |state: &EntryState, there: &EntryState| match by {
        CompareBy::Checksum => true,
        CompareBy::Time => {
            since.is_some_and(|since| state.modified >= since) && state.same_time(there)
        }
    };
    let same_size = |(path, state): &(&MemberPath, &EntryState)| {
        let there = target.get(*path);
        state.kind == Kind::File
            && state.size > 0
            && there.is_some_and(|there| {
                there.kind == Kind::File && there.size == state.size && is_doubtful(state, there)
            })
    };
    let doubtful = source.iter().filter(same_size);
    doubtful.map(|(path, _)| path.clone()).collect()
}

/// Compares both ends.
pub(super) fn compare(source: &Listing, target: &Listing, rules: &Rules<'_>) -> Comparison {
    let mut found = Comparison::default();
    if rules.take == Take::All {
        return found;
    }
    let guarded = above(rules.spared.iter());
    for (path, state) in source {
        if under(path, &found.swaps) {
            found.replace.insert(path.clone());
            continue;
        }
        let Some(there) = target.get(path) else {
            found.send.insert(path.clone());
            continue;
        };
        if there.kind == state.kind || lone(path, state, there) {
            pair(path, state, there, rules, &mut found);
        } else if rules.take == Take::Absent && state.kind != Kind::Folder {
            found.kept.push(path.clone());
        } else if rules.delete && !rules.spared.contains(path) && !guarded.contains(path) {
            found.replace.insert(path.clone());
            found.swaps.insert(path.clone());
        } else {
            found.clashes.push(path.clone());
        }
    }
    if rules.delete {
        for (path, there) in target {
            let stays = source.contains_key(path)
                || under(path, &found.swaps)
                || rules.spared.contains(path)
                || under(path, rules.spared)
                || guarded.contains(path);
            if !stays && !path.is_root() {
                found.delete.insert(path.clone(), there.kind);
            }
        }
    }
    settle(source, found)
}

/// A lone file takes the place of a link as any copy does.
fn lone(path: &MemberPath, state: &EntryState, there: &EntryState) -> bool {
    path.is_root() && state.kind != Kind::Folder && there.kind != Kind::Folder
}

/// Two entries of one kind.
fn pair(
    path: &MemberPath,
    state: &EntryState,
    there: &EntryState,
    rules: &Rules<'_>,
    found: &mut Comparison,
) {
    let same = same_content(path, state, there, rules);
    let metadata = state.kind != Kind::Link;
    let other_mode = rules.modes && state.mode != there.mode;
    let adjusted = metadata && (other_mode || !state.same_time(there))
        || rules.owners && state.owner != there.owner;
    if !same {
        if rules.take == Take::Absent {
            found.kept.push(path.clone());
        } else {
            found.send.insert(path.clone());
        }
    } else if adjusted && rules.take != Take::Absent {
        found.adjust.insert(path.clone());
    } else if state.kind != Kind::Folder {
        found.unchanged += 1;
    }
}

fn same_content(
    path: &MemberPath,
    state: &EntryState,
    there: &EntryState,
    rules: &Rules<'_>,
) -> bool {
    if state.kind != there.kind {
        return false;
    }
    match state.kind {
        Kind::Folder | Kind::Special(_) => true,
        Kind::Link => state.link == there.link,
        Kind::File if state.size != there.size => false,
        Kind::File if rules.other_bytes.contains(path) => false,
        Kind::File => rules.take == Take::Differing(CompareBy::Checksum) || state.same_time(there),
    }
}

/// Adds the folders above what is copied, so that they get their time again, and those in which something goes or is replaced.
fn settle(source: &Listing, mut found: Comparison) -> Comparison {
    let folders = above(found.send.iter());
    found.send.extend(folders);
    // What is copied gets its mode and time with that.
    found.adjust.retain(|path| !found.send.contains(path));
    let folders = above(found.replace.iter());
    found.replace.extend(folders);
    let touched = found.delete.keys().chain(&found.swaps);
    let parents = touched.filter_map(|path| path.split().map(|(parent, _)| parent));
    let parents = parents.filter(|parent| !parent.is_root() && source.contains_key(parent));
    found.touched.extend(parents);
    found
}

/// The folders that a path lies in, innermost first, without the root.
pub(super) fn folders(path: &MemberPath) -> impl Iterator<Item = MemberPath> {
    let parent = |path: &MemberPath| {
        let (parent, _) = path.split()?;
        (!parent.is_root()).then_some(parent)
    };
    std::iter::successors(parent(path), parent)
}

pub(super) fn under(path: &MemberPath, some: &BTreeSet<MemberPath>) -> bool {
    !some.is_empty() && folders(path).any(|folder| some.contains(&folder))
}

/// All folders above some paths, without the root.
pub(super) fn above<'a>(paths: impl Iterator<Item = &'a MemberPath>) -> BTreeSet<MemberPath> {
    let mut all = BTreeSet::new();
    for path in paths {
        for folder in folders(path) {
            if !all.insert(folder) {
                break;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MemberPath {
        MemberPath::parse(text.as_bytes()).unwrap()
    }

    fn state(kind: Kind, size: u64, seconds: i64) -> EntryState {
        EntryState {
            kind,
            size,
            mode: 0o644,
            modified: Mtime { seconds, nanos: 5 },
            owner: (0, 0),
            link: Vec::new(),
        }
    }

    /// `name:f:size:seconds`, kinds as `d`, `f`, `l`.
    fn side(words: &[&str]) -> Listing {
        let entry = |word: &&str| {
            let parts: Vec<_> = word.split(':').collect();
            let kind = match parts[1] {
                "d" => Kind::Folder,
                "l" => Kind::Link,
                _ => Kind::File,
            };
            let number = |at: usize| parts.get(at).map_or(7, |text| text.parse().unwrap());
            let size = if kind == Kind::File { number(2) } else { 0 };
            let state = state(kind, size, i64::try_from(number(3)).unwrap());
            (path(parts[0]), state)
        };
        words.iter().map(entry).collect()
    }

    fn found(
        source: &[&str],
        target: &[&str],
        take: Take,
        delete: bool,
        spared: &[&str],
    ) -> Comparison {
        let spared = spared.iter().map(|text| path(text)).collect();
        let rules = Rules {
            take,
            delete,
            owners: false,
            modes: true,
            other_bytes: &BTreeSet::from([path("other")]),
            spared: &spared,
        };
        compare(&side(source), &side(target), &rules)
    }

    fn names<'a>(paths: impl IntoIterator<Item = &'a MemberPath>) -> Vec<String> {
        paths.into_iter().map(ToString::to_string).collect()
    }

    const TIMES: Take = Take::Differing(CompareBy::Time);

    #[test]
    fn only_what_differs_is_sent_with_the_folders_above_it() {
        let source = [
            "a:d",
            "a/b:d",
            "a/b/new:f",
            "a/old:f",
            "a/size:f:8",
            "a/time:f:7:9",
            "c:d",
            "c/same:f",
        ];
        let target = [
            "a:d",
            "a/b:d",
            "a/old:f",
            "a/size:f:7",
            "a/time:f",
            "c:d",
            "c/same:f",
        ];
        let found = found(&source, &target, TIMES, false, &[]);
        assert_eq!(
            names(&found.send),
            ["a", "a/b", "a/b/new", "a/size", "a/time"]
        );
        assert_eq!(
            (found.unchanged, found.delete.len(), found.adjust.len()),
            (2, 0, 0)
        );
    }

    #[test]
    fn a_checksum_decides_where_the_size_is_the_same() {
        let take = Take::Differing(CompareBy::Checksum);
        let source = ["same:f:7:1", "other:f:7:1", "empty:f:0:1"];
        let target = ["same:f", "other:f:7:1", "empty:f:0:1"];
        let by_checksum = found(&source, &target, take, false, &[]);
        assert_eq!(names(&by_checksum.send), ["other"]);
        assert_eq!(names(&by_checksum.adjust), ["same"], "its time is another");
        let by_time = found(&source, &target, TIMES, false, &[]);
        assert_eq!(names(&by_time.send), ["other", "same"]);
        let (source, target) = (side(&source), side(&["same:f", "other:f:8", "empty:f:0"]));
        let all = doubtful(&source, &target, CompareBy::Checksum, None);
        assert_eq!(names(&all), ["same"]);
    }

    #[test]
    fn of_the_same_size_and_time_only_what_changed_of_late_is_doubtful() {
        let source = side(&["old:f:7:1", "new:f:7:3", "time:f:7:4", "size:f:7:5"]);
        let target = side(&["old:f:7:1", "new:f:7:3", "time:f:7:2", "size:f:8:5"]);
        let since = Mtime {
            seconds: 2,
            nanos: 0,
        };
        let late = doubtful(&source, &target, CompareBy::Time, Some(since));
        assert_eq!(names(&late), ["new"]);
        assert!(doubtful(&source, &target, CompareBy::Time, None).is_empty());
    }

    #[test]
    fn what_the_source_lacks_goes_but_never_what_is_hidden_nor_the_folders_above_it() {
        let target = [
            "d:d",
            "d/x:f",
            "d/sub:d",
            "d/sub/y:f",
            "k:d",
            "k/hidden:f",
            "k/z:f",
            "s:d",
            "s/gone:f",
        ];
        let found = found(&["s:d"], &target, TIMES, true, &["k/hidden"]);
        assert_eq!(
            names(found.delete.keys()),
            ["d", "d/sub", "d/sub/y", "d/x", "k/z", "s/gone"]
        );
        assert_eq!(
            names(&found.touched),
            ["s"],
            "its time changes when something in it goes"
        );
        let kept = self::found(&["s:d"], &target, TIMES, false, &[]);
        assert!(kept.delete.is_empty());
    }

    #[test]
    fn another_kind_clashes_unless_deleting_is_allowed_and_nothing_hidden_is_lost() {
        let source = ["a:d", "a-b:d", "a-b/f:f", "a/f:f", "c:f", "l:l"];
        let target = ["a:f", "a-b:f", "c:d", "c/deep:d", "c/deep/x:f", "l:f"];
        let clashing = found(&source, &target, TIMES, false, &[]);
        assert_eq!(names(&clashing.clashes), ["a", "a-b", "c", "l"]);
        let replaced = found(&source, &target, TIMES, true, &[]);
        assert_eq!(names(&replaced.swaps), ["a", "a-b", "c", "l"]);
        assert_eq!(
            names(&replaced.replace),
            ["a", "a-b", "a-b/f", "a/f", "c", "l"]
        );
        assert!(replaced.delete.is_empty() && replaced.send.is_empty());
        let spared = found(&source, &target, TIMES, true, &["c/deep/x"]);
        assert_eq!(names(&spared.clashes), ["c"]);
    }

    #[test]
    fn nothing_that_is_there_is_touched_when_only_the_absent_is_taken() {
        let source = ["d:d:0:9", "d/same:f", "d/other:f:8", "d/new:f", "x:f"];
        let found = found(
            &source,
            &["d:d", "d/same:f", "d/other:f", "x:d"],
            Take::Absent,
            false,
            &[],
        );
        assert_eq!(names(&found.send), ["d", "d/new"]);
        assert_eq!(names(&found.kept), ["d/other", "x"]);
        assert_eq!((found.unchanged, found.adjust.len()), (1, 0));
    }

    #[test]
    fn a_time_without_a_part_is_any_in_its_second() {
        let (one, mut other) = (state(Kind::File, 1, 4), state(Kind::File, 1, 4));
        assert!(one.same_time(&other));
        other.modified.nanos = 6;
        assert!(!one.same_time(&other));
        other.modified.nanos = 0;
        assert!(one.same_time(&other));
        other.modified.seconds = 3;
        assert!(!one.same_time(&other));
    }
}
