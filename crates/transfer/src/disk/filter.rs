//! What of a source is left out on purpose.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::disk::scope::member;
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::path_bytes;

/// Patterns by the rules of `.gitignore`, matched below each source folder. Without any, everything is copied.
#[derive(Clone, Debug, Default)]
pub struct Filter(Option<Arc<Gitignore>>);

impl Filter {
    /// Reads the patterns: first those of `files`, then `exclude`, then `include`, which takes back what the others leave out.
    /// What lies in a folder that is left out can't be taken back.
    ///
    /// # Errors
    /// A file that can't be read, a pattern that is none.
    pub fn new(files: &[PathBuf], exclude: &[String], include: &[String]) -> Result<Self, Error> {
        if files.is_empty() && exclude.is_empty() {
            return Ok(Self::default());
        }
        let mut builder = GitignoreBuilder::new("");
        for file in files {
            if let Some(error) = builder.add(file) {
                return Err(refused(&file.display().to_string(), &error));
            }
        }
        let taken_back = include.iter().map(|pattern| format!("!{pattern}"));
        for pattern in exclude.iter().cloned().chain(taken_back) {
            builder
                .add_line(None, &pattern)
                .map_err(|error| refused(&pattern, &error))?;
        }
        let patterns = builder.build().map_err(|error| refused("", &error))?;
        Ok(Self(Some(Arc::new(patterns))))
    }

    /// Returns whether an entry, by its path below the source, or a folder above it is left out.
    pub(crate) fn leaves_out(&self, path: &MemberPath, is_folder: bool) -> bool {
        let Some(patterns) = &self.0 else {
            return false;
        };
        let ends = path.as_bytes().iter().enumerate();
        let folders = ends.filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        folders
            .map(|end| (&path.as_bytes()[..end], true))
            .chain([(path.as_bytes(), is_folder)])
            .any(|(bytes, is_folder)| {
                patterns
                    .matched(path_bytes::shown(bytes), is_folder)
                    .is_ignore()
            })
    }

    /// Returns whether a path of this system is left out.
    #[must_use]
    pub fn hides(&self, path: &Path, is_folder: bool) -> bool {
        member(path).is_some_and(|path| self.leaves_out(&path, is_folder))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn refused(argument: &str, error: &ignore::Error) -> Error {
    Error::Argument {
        argument: argument.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_follow_the_rules_of_gitignore_and_includes_take_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ignore");
        std::fs::write(&file, "# built\n/target/\n*.log\n").unwrap();
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        let filter = Filter::new(&[file], &words(&["cache"]), &words(&["keep.log"])).unwrap();
        let left_out = |path: &str, is_folder| {
            filter.leaves_out(&MemberPath::parse(path.as_bytes()).unwrap(), is_folder)
        };
        assert!(left_out("target", true) && left_out("target/keep.log", false));
        assert!(!left_out("target", false) && !left_out("sub/target", true));
        assert!(left_out("a/b.log", false) && !left_out("a/keep.log", false));
        assert!(left_out("x/cache/y", false));
        assert!(Filter::new(&[], &words(&["{a"]), &[]).is_err());
    }
}
