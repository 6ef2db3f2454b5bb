//! Reads one TOML file of settings.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml_edit::DocumentMut;

use super::{Error, access};

/// The most that is read of a file, in bytes; settings are far smaller.
const SIZE_LIMIT: u64 = 1 << 20;

/// The text of a file that exists.
pub(super) struct Source {
    pub(super) path: PathBuf,
    text: String,
    others_can_read: bool,
}

impl Source {
    /// Reads a file, or `None` where there is none.
    ///
    /// Fails if it cannot be read, is larger than 1 MiB, or is not UTF-8. A byte order mark is skipped.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |error| Error::io("read", path, &error);
        // opening a pipe would wait for a writer
        match std::fs::metadata(path) {
            Ok(found) if found.is_file() || found.is_dir() => {}
            Ok(_) if path == Path::new("/dev/null") => return Ok(None),
            Ok(_) => return Err(failed(io::Error::other("it is not a file"))),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let others_can_read = access::others_can_read(&file.metadata().map_err(failed)?);
        let mut bytes = Vec::new();
        file.take(SIZE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(Error::TooLarge {
                path: path.to_owned(),
                limit: SIZE_LIMIT,
            });
        }
        Ok(Some(Self {
            text: decode(path, bytes)?,
            path: path.to_owned(),
            others_can_read,
        }))
    }

    /// The file as a value; entries that it does not know are left alone.
    pub(super) fn value<T: DeserializeOwned>(&self) -> Result<T, Error> {
        toml_edit::de::from_str(&self.text)
            .map_err(|error| self.broken(error.span(), error.message()))
    }

    /// The file with its comments and order, to be changed and written back.
    pub(super) fn document(&self) -> Result<DocumentMut, Error> {
        self.text
            .parse()
            .map_err(|error: toml_edit::TomlError| self.broken(error.span(), error.message()))
    }

    /// Refuses a file that others can read: it holds an API key.
    pub(super) fn check_secret(&self) -> Result<(), Error> {
        match self.others_can_read {
            true => Err(Error::OpenToOthers {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    fn broken(&self, span: Option<Range<usize>>, message: &str) -> Error {
        let offset = span.map_or(0, |span| span.start);
        broken(&self.path, &self.text, offset, &without_value(message))
    }
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let start = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        broken(path, &start, start.len(), "not UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn broken(path: &Path, text: &str, offset: usize, why: &str) -> Error {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Error::Broken {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        why: why.to_owned(),
    }
}

/// The parser's words on one line, without a value of the wrong type: an unquoted key of digits would be one.
fn without_value(message: &str) -> String {
    let line = message.trim().replace('\n', ", ");
    match line.split_once(", expected ") {
        Some((what, expected)) if what.starts_with("invalid type") => {
            format!("expected {expected}")
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Keys {
        #[serde(rename = "api_key")]
        _api_key: Option<String>,
    }

    fn read(bytes: &[u8]) -> Result<Keys, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, bytes).unwrap();
        Source::read(&path)?.unwrap().value()
    }

    fn complaint(bytes: &[u8]) -> String {
        let text = read(bytes).unwrap_err().to_string();
        text.split_once("config.toml: ").unwrap().1.to_owned()
    }

    #[test]
    fn a_byte_order_mark_and_unknown_entries_are_no_trouble() {
        assert!(read(b"\xef\xbb\xbfapi_key = \"k\"\n[profiles.x]\na = 1\n").is_ok());
    }

    #[test]
    fn a_broken_file_names_line_and_column() {
        let text = complaint(b"# one\napi_key = \"a\n");
        assert!(text.starts_with("line 2, column "), "{text}");
        assert!(!text.contains('\n'), "{text}");
        assert!(complaint(b"x = 1\ny = \0\n").starts_with("line 2, column 5: "));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_placed_and_not_shown() {
        assert_eq!(
            complaint(b"\n api_key = 424242"),
            "line 2, column 12: expected a string"
        );
    }

    #[test]
    fn a_file_that_is_not_utf_8_names_the_place() {
        assert_eq!(
            complaint(b"a = 1\nb = \"\xff\""),
            "line 2, column 6: not UTF-8"
        );
    }

    #[test]
    fn a_huge_file_is_not_read() {
        assert_eq!(
            complaint(&vec![b'#'; 2 << 20]),
            "it is larger than 1048576 bytes"
        );
    }

    #[test]
    fn a_missing_file_is_none_and_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::read(&folder.path().join("no")).unwrap().is_none());
        assert!(matches!(Source::read(folder.path()), Err(Error::Io { .. })));
    }
}
