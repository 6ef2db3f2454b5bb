//! `K=V` on the command line and in files: environment variables and labels, with the limits of the contract.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind};
use fastvm_api::types::{EnvVars, Metadata};

const MOST_LABELS: usize = 256;
const LONGEST_KEY: usize = 256;
const LONGEST_LABEL: usize = 4096;
/// Of the whole map as JSON.
const LARGEST_MAP: usize = 65536;

/// Labels from `K=V`. A value may be empty.
pub(crate) fn metadata(words: &[String]) -> Result<Metadata, Error> {
    let mut labels = Metadata::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err(
                Error::usage(format!("metadata {word:?} has no `=`")).hint("write KEY=VALUE")
            );
        };
        check_key("metadata", key)?;
        if value.len() > LONGEST_LABEL {
            return Err(too_long(
                &format!("the value of metadata {key:?}"),
                value.len(),
                LONGEST_LABEL,
            ));
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    check_metadata(&labels)?;
    Ok(labels)
}

/// Checks a whole map of labels against the limits of the contract.
pub(crate) fn check_metadata(labels: &Metadata) -> Result<(), Error> {
    if labels.len() > MOST_LABELS {
        return Err(Error::usage(format!(
            "{} labels are given; at most {MOST_LABELS} are allowed",
            labels.len()
        )));
    }
    check_size("metadata", labels)
}

/// Environment variables of files, then of `K=V` or `K` words; later ones win.
pub(crate) fn environment(files: &[PathBuf], words: &[String]) -> Result<EnvVars, Error> {
    let mut variables = EnvVars::new();
    for file in files {
        read_file(file, &mut variables)?;
    }
    for word in words {
        add(word, "", &mut variables)?;
    }
    check_size("environment", &variables)?;
    Ok(variables)
}

/// One `K=V` a line, as in `docker --env-file`: no quotes, no expansion, `#` starts a comment line.
fn read_file(path: &Path, variables: &mut EnvVars) -> Result<(), Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound {
            Kind::NotFound
        } else {
            Kind::LocalIo
        };
        Error::new(kind, format!("cannot read {}: {error}", path.display()))
    })?;
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            add(
                line,
                &format!(" (line {} of {})", number + 1, path.display()),
                variables,
            )?;
        }
    }
    Ok(())
}

fn add(word: &str, place: &str, variables: &mut EnvVars) -> Result<(), Error> {
    let (key, value) = match word.split_once('=') {
        Some((key, value)) => (key, value.to_owned()),
        None => (word, from_here(word, place)?),
    };
    check_key("environment variable", key)
        .map_err(|error| error.within(format!("bad variable{place}")))?;
    if !is_name(key) {
        let message = format!("{key:?} is not a valid name of an environment variable{place}");
        return Err(Error::usage(message)
            .hint("names have letters, digits and `_`, and do not begin with a digit"));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(Error::usage(format!(
            "the value of {key} has a line break or NUL, which the API refuses{place}"
        )));
    }
    variables.insert(key.to_owned(), value);
    Ok(())
}

/// The value that a variable has in this process.
fn from_here(name: &str, place: &str) -> Result<String, Error> {
    let value = std::env::var_os(name).ok_or_else(|| {
        Error::usage(format!("{name} is not set{place}")).hint("write NAME=VALUE")
    })?;
    value
        .into_string()
        .map_err(|_| Error::usage(format!("the value of {name} is not UTF-8{place}")))
}

fn is_name(key: &str) -> bool {
    let mut characters = key.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn check_key(what: &str, key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::usage(format!("a {what} key is empty")).hint("write KEY=VALUE")),
        1..=LONGEST_KEY => Ok(()),
        length => Err(too_long(&format!("a {what} key"), length, LONGEST_KEY)),
    }
}

fn check_size(what: &str, map: &std::collections::BTreeMap<String, String>) -> Result<(), Error> {
    let size = serde_json::to_string(map).map_or(0, |json| json.len());
    if size > LARGEST_MAP {
        return Err(too_long(&format!("the {what} as JSON"), size, LARGEST_MAP));
    }
    Ok(())
}

fn too_long(what: &str, length: usize, most: usize) -> Error {
    Error::usage(format!(
        "{what} has {length} bytes; at most {most} are allowed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_label_is_split_at_its_first_equals_sign_and_may_be_empty() {
        let labels = metadata(&words(&["a=b=c", "d="])).unwrap();
        assert_eq!(
            labels.into_iter().collect::<Vec<_>>(),
            [("a".into(), "b=c".into()), ("d".into(), String::new())]
        );
    }

    #[test]
    fn limits_count_bytes_and_the_message_says_both() {
        let error = metadata(&[format!("{}=v", "é".repeat(129))]).unwrap_err();
        assert_eq!(
            error.message(),
            "a metadata key has 258 bytes; at most 256 are allowed"
        );
        let error = metadata(&[format!("k={}", "x".repeat(4097))]).unwrap_err();
        assert_eq!(
            error.message(),
            r#"the value of metadata "k" has 4097 bytes; at most 4096 are allowed"#
        );
    }

    #[test]
    fn a_variable_needs_a_name_and_one_line() {
        for (word, message) in [
            (
                "1A=x",
                r#""1A" is not a valid name of an environment variable"#,
            ),
            (
                "A=x\ny",
                "the value of A has a line break or NUL, which the API refuses",
            ),
            ("FASTVM_SURELY_UNSET", "FASTVM_SURELY_UNSET is not set"),
        ] {
            assert_eq!(
                environment(&[], &words(&[word])).unwrap_err().message(),
                message
            );
        }
    }
}
