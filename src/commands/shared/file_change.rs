//! A change of one file that belongs to another program: read whole, shown as a difference, written in one step.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::config::replace_foreign;
use crate::error::{Error, Kind};

/// The most that is read of a file, in bytes. Claude Code keeps more than settings in its own.
const SIZE_LIMIT: u64 = 64 << 20;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A file as it is, and as it is to be.
#[derive(Debug)]
pub(crate) struct FileChange {
    pub(crate) path: PathBuf,
    before: Option<String>,
    after: Option<String>,
}

impl FileChange {
    /// Reads the file and lets `edit` say what is to be in it; `None` is a file that is not there.
    ///
    /// `edit` does not see a byte order mark, which stays.
    pub(crate) fn plan(
        path: PathBuf,
        edit: impl FnOnce(Option<&str>) -> Result<Option<String>, Error>,
    ) -> Result<Self, Error> {
        let before = read(&path)?;
        let text = before.as_deref();
        let marked = text.and_then(|text| text.strip_prefix(BYTE_ORDER_MARK));
        let after = match marked {
            Some(text) => edit(Some(text))?.map(|after| format!("{BYTE_ORDER_MARK}{after}")),
            None => edit(text)?,
        };
        Ok(Self {
            path,
            before,
            after,
        })
    }

    pub(crate) fn changes_anything(&self) -> bool {
        self.before != self.after
    }

    /// The lines that differ as a unified diff, without those around them: they may hold keys of others.
    pub(crate) fn diff(&self) -> String {
        let [before, after] = [&self.before, &self.after].map(|text| text.as_deref().unwrap_or(""));
        let path = self.path.display();
        let old = match &self.before {
            Some(_) => path.to_string(),
            None => "/dev/null".to_owned(),
        };
        format!("--- {old}\n+++ {path}\n{}", hunk(before, after))
    }

    /// Writes the file, unless it was changed since it was read.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let Some(after) = &self.after else {
            return Ok(());
        };
        if fs::metadata(&self.path).is_ok_and(|found| found.permissions().readonly()) {
            let message = format!("cannot write {}: it is read-only", self.path.display());
            return Err(Error::new(Kind::LocalIo, message));
        }
        if read(&self.path)? != self.before {
            let message = format!("{} was changed meanwhile", self.path.display());
            return Err(Error::new(Kind::LocalIo, message).hint("run the command again"));
        }
        replace_foreign(&self.path, after.as_bytes())
            .map_err(|error| failed("write", &self.path, &error))
    }
}

/// What stands between the lines that both texts begin with and those that both end with.
fn hunk(before: &str, after: &str) -> String {
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<&str>>());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let ends = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let range = |lines: &[&str]| match lines.len() {
        0 => format!("{head},0"),
        1 => (head + 1).to_string(),
        count => format!("{},{count}", head + 1),
    };
    let mut hunk = format!("@@ -{} +{} @@\n", range(old), range(new));
    let lines = old.iter().map(|line| ('-', line));
    for (sign, line) in lines.chain(new.iter().map(|line| ('+', line))) {
        hunk.push(sign);
        hunk.push_str(line);
        if !line.ends_with('\n') {
            hunk.push_str("\n\\ No newline at end of file\n");
        }
    }
    hunk
}

/// The text of a file, or `None` where there is none.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let cannot = |error| failed("read", path, &error);
    // Opening a pipe would wait for a writer.
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(cannot(std::io::Error::other("it is not a file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        let why = format!("it is larger than {SIZE_LIMIT} bytes");
        return Err(cannot(std::io::Error::other(why)));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let start = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        broken(path, Place::at(&start, start.len()), "not UTF-8")
    })
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot {action} {}: {error}", path.display());
    Error::new(Kind::LocalIo, message)
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of a byte.
    pub(crate) fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// The refusal of a file that cannot be understood.
pub(crate) fn broken(path: &Path, place: Place, why: &str) -> Error {
    let path = path.display();
    let Place { line, column } = place;
    let message = format!("cannot read {path}: line {line}, column {column}: {why}");
    Error::usage(message).hint("correct it; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_meanwhile_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/settings.json");
        let plan = |text: &'static str| {
            FileChange::plan(path.clone(), |_| Ok(Some(text.to_owned()))).unwrap()
        };
        let (first, second) = (plan("first"), plan("second"));
        first.write().unwrap();
        let error = second.write().unwrap_err();
        assert!(
            error.to_string().ends_with(" was changed meanwhile"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert!(!plan("first").changes_anything());
    }

    #[test]
    fn a_hunk_has_the_lines_that_differ_alone() {
        for (before, after, expected) in [
            ("", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"),
            ("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"),
            ("a\nb\nc\n", "a\nx\nc\n", "@@ -2 +2 @@\n-b\n+x\n"),
            ("a\nc\n", "a\nb\nc\n", "@@ -1,0 +2 @@\n+b\n"),
            ("a\n", "a\na\n", "@@ -1,0 +2 @@\n+a\n"),
            (
                "a\nb",
                "a\nb\n",
                "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+b\n",
            ),
        ] {
            assert_eq!(hunk(before, after), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        for (offset, line, column) in [(0, 1, 1), (2, 1, 3), (3, 2, 1), (6, 2, 3), (99, 2, 3)] {
            let place = Place::at("ab\n\u{e9}c", offset);
            assert_eq!(place, Place { line, column }, "{offset}");
        }
    }
}
