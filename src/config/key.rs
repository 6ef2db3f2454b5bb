//! API keys: where one comes from, how it is read, and what it may look like.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Error, access, command};
use fastvm_api::secret::ApiKey;

/// The most that is read of a file or command, in bytes.
pub(super) const SIZE_LIMIT: u64 = 64 << 10;

/// Where the key comes from; it is read when a request first needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A key that is at hand, and what it was given by: an option, a variable, a context or a file.
    Value {
        key: ApiKey,
        source: String,
        /// What is amiss with the place that it comes from.
        warning: Option<String>,
    },
    /// A file, or standard input as `-`.
    File { path: PathBuf, source: String },
    /// A program that prints the key as its first line.
    Command { argv: Vec<String>, source: String },
}

impl KeySource {
    /// What the user would change to change the key.
    pub fn source(&self) -> &str {
        match self {
            Self::Value { source, .. }
            | Self::File { source, .. }
            | Self::Command { source, .. } => source,
        }
    }

    /// What to tell the user of a key that is used all the same.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Value { warning, .. } => warning.clone(),
            Self::File { path, .. } => access::warning(path),
            Self::Command { .. } => None,
        }
    }

    /// Reads and checks the key. A program may take 30 s; standard input is read to its end.
    pub async fn read(&self) -> Result<ApiKey, Error> {
        match self {
            Self::Value { key, .. } => Ok(key.clone()),
            Self::File { path, source } => read_file(path, source),
            Self::Command { argv, source } => {
                check(&command::first_line(argv, source).await?, source)
            }
        }
    }
}

/// Checks a key: visible ASCII and nothing else, so that it fits a header and no line break slips in.
pub fn check(text: &str, source: &str) -> Result<ApiKey, Error> {
    let refused = |why: &str| {
        Err(Error::Key {
            source_name: source.to_owned(),
            why: why.to_owned(),
        })
    };
    match text.chars().find(|character| !character.is_ascii_graphic()) {
        _ if text.is_empty() => refused("is empty"),
        None => Ok(ApiKey::new(text)),
        Some('\n' | '\r') => refused("has a line break in it"),
        Some(' ' | '\t') => refused("has a space in it"),
        Some(character) if character.is_ascii() => refused("has a control character in it"),
        Some(_) => refused("has a character in it that is not ASCII"),
    }
}

/// Reads a key to its end, without the one line break that files and `echo` have there.
pub fn read_to_end(reader: impl Read, source: &str) -> Result<ApiKey, Error> {
    let refused = |why: String| Error::Key {
        source_name: source.to_owned(),
        why,
    };
    let mut bytes = Vec::new();
    reader
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(refused(format!("is larger than {SIZE_LIMIT} bytes")));
    }
    let text = String::from_utf8_lossy(&bytes);
    check(without_line_break(&text), source)
}

fn read_file(path: &Path, source: &str) -> Result<ApiKey, Error> {
    if path == Path::new("-") {
        return read_to_end(io::stdin().lock(), "standard input");
    }
    let named = format!("{} ({source})", path.display());
    let file = File::open(path).map_err(|error| Error::Key {
        source_name: named.clone(),
        why: format!("cannot be read: {error}"),
    })?;
    read_to_end(file, &named)
}

fn without_line_break(text: &str) -> &str {
    match text.strip_suffix('\n') {
        Some(line) => line.strip_suffix('\r').unwrap_or(line),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<ApiKey, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_no_header_could_carry_is_refused_unseen() {
        for (key, why) in [
            ("", "is empty"),
            ("s3cret\n", "has a line break in it"),
            ("s3 cret", "has a space in it"),
            ("s3\u{0}cret", "has a control character in it"),
            ("s3crét", "has a character in it that is not ASCII"),
        ] {
            let expected = format!("the API key from FASTVM_API_KEY {why}");
            assert_eq!(refusal(check(key, "FASTVM_API_KEY")), expected);
        }
    }

    #[test]
    fn a_file_may_end_in_one_line_break() {
        for text in ["fv_k", "fv_k\n", "fv_k\r\n"] {
            assert_eq!(read_to_end(text.as_bytes(), "x").unwrap().expose(), "fv_k");
        }
        let two = read_to_end("fv_k\n\n".as_bytes(), "x");
        assert_eq!(refusal(two), "the API key from x has a line break in it");
    }

    #[test]
    fn a_reader_without_end_is_cut_off() {
        let error = refusal(read_to_end(io::repeat(b'a'), "x"));
        assert_eq!(error, "the API key from x is larger than 65536 bytes");
    }

    #[tokio::test]
    async fn a_missing_key_file_is_named() {
        let source = KeySource::File {
            path: "/no/such/key".into(),
            source: "--api-key-file".into(),
        };
        let error = refusal(source.read().await);
        assert!(
            error.starts_with("the API key from /no/such/key (--api-key-file) cannot be read: "),
            "{error}"
        );
    }
}
