//! Which part of a source is looked at, and who is told of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::selection::Selection;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::format::path_bytes;

/// Someone who wants to hear of changes: is told of what is looked at, before it is looked at. Called from another thread.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Everything in this folder is looked at.
    fn folder(&self, path: &Path);
    /// Of the folder that this file lies in, only the file is looked at.
    fn file(&self, path: &Path);
}

/// Which part of a source is compared; all of it by default.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Paths below the source folder that may have changed, with all that is below them. `None` for everything.
    pub changed: Option<BTreeSet<PathBuf>>,
    /// Files that were changed at this time or later are compared by their bytes where their size and time are the same at both ends:
    /// a file may be written twice before the clock that its time is from goes on.
    pub doubted_since: Option<SystemTime>,
    /// Who is told.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Scope {
    /// The changed paths as they stand in an archive; `None` for everything, as also where a path cannot stand there.
    pub(crate) fn paths(&self) -> Option<BTreeSet<MemberPath>> {
        let changed = self.changed.as_ref()?.iter();
        let paths: Option<BTreeSet<_>> = changed.map(|path| member(path)).collect();
        paths.filter(|paths| !paths.contains(&MemberPath::default()))
    }

    /// The second since which files are doubted.
    pub(crate) fn since(&self) -> Option<Mtime> {
        let since = self.doubted_since?.duration_since(UNIX_EPOCH).ok()?;
        let seconds = i64::try_from(since.as_secs()).ok()?;
        Some(Mtime { seconds, nanos: 0 })
    }
}

/// A path below a source as it stands in an archive; `None` if it cannot stand there.
pub(crate) fn member(path: &Path) -> Option<MemberPath> {
    let mut member = MemberPath::default();
    for part in path.components() {
        match part {
            Component::Normal(name) => member = member.join(path_bytes::to_bytes(name)?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(member)
}

/// The names in a folder that a walk goes to; `None` for all of them. The folder is `place` below the target and `inner` below its source.
pub(crate) fn names_to_visit(
    only: &Selection,
    changed: Option<&BTreeSet<MemberPath>>,
    place: &MemberPath,
    inner: &MemberPath,
) -> Option<Vec<OsString>> {
    if let Some(picked) = only.entries() {
        let below = picked.range(place.join(b"")..).map(|(path, _)| path);
        return Some(names_towards(below, place));
    }
    let changed = changed?;
    let mut folder = Some(inner.clone());
    while let Some(path) = folder {
        if changed.contains(&path) {
            return None;
        }
        folder = path.parent();
    }
    Some(names_towards(changed.range(inner.join(b"")..), inner))
}

/// The names in a folder that lead to the first of these paths, as long as these are below the folder.
fn names_towards<'a>(
    paths: impl Iterator<Item = &'a MemberPath>,
    folder: &MemberPath,
) -> Vec<OsString> {
    let start = folder.join(b"");
    let below = paths.map_while(|path| path.as_bytes().strip_prefix(start.as_bytes()));
    let first = |rest: &'a [u8]| rest.split(|&byte| byte == b'/').next();
    let names: BTreeSet<_> = below.filter_map(first).collect();
    let named = names.into_iter().filter(|name| !name.is_empty());
    named.filter_map(path_bytes::from_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> MemberPath {
        member(Path::new(text)).unwrap()
    }

    fn names(changed: &[&str], folder: &str) -> Option<Vec<OsString>> {
        let changed = changed.iter().map(|text| path(text)).collect();
        let folder = path(folder);
        names_to_visit(&Selection::default(), Some(&changed), &folder, &folder)
    }

    #[test]
    fn a_walk_goes_to_what_changed_and_to_all_that_is_below() {
        let changed = ["a/b/c", "a-b", "a/x", "d"];
        let named = |names: &[&str]| Some(names.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(names(&changed, ""), named(&["a", "a-b", "d"]));
        assert_eq!(names(&changed, "a"), named(&["b", "x"]));
        assert_eq!(names(&changed, "a/b"), named(&["c"]));
        assert_eq!(names(&changed, "a/b/c"), None);
        assert_eq!(names(&changed, "d/deep"), None);
        assert_eq!(names(&changed, "e"), named(&[]));
    }

    #[test]
    fn a_change_of_the_source_itself_is_one_of_everything() {
        let scope = |paths: &[&str]| Scope {
            changed: Some(paths.iter().map(PathBuf::from).collect()),
            ..Scope::default()
        };
        assert_eq!(
            scope(&["a", "b/c"]).paths().map(|paths| paths.len()),
            Some(2)
        );
        for paths in [&["a", ""][..], &["../a"], &["/a"]] {
            assert_eq!(scope(paths).paths(), None, "{paths:?}");
        }
    }
}
