//! The limits of metadata and environment variables. All are in bytes.

use super::Error;
use fastvm_api::types::{EnvVars, Metadata};

const MOST_KEYS: usize = 256;
const LONGEST_KEY: usize = 256;
const LONGEST_VALUE: usize = 4096;
const LARGEST_MAP: usize = 65_536;

pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), Error> {
    if metadata.len() > MOST_KEYS {
        return invalid(format!(
            "metadata has {} keys, at most {MOST_KEYS} are allowed",
            metadata.len()
        ));
    }
    for (key, value) in metadata {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return invalid(format!(
                "metadata key {key:?} is not 1 to {LONGEST_KEY} bytes long"
            ));
        }
        if value.len() > LONGEST_VALUE {
            return invalid(format!(
                "metadata {key:?} is longer than {LONGEST_VALUE} bytes"
            ));
        }
    }
    check_size("metadata", metadata)
}

pub(super) fn check_env_vars(env_vars: &EnvVars) -> Result<(), Error> {
    for (key, value) in env_vars {
        if key.len() > LONGEST_KEY || !is_variable_name(key) {
            return invalid(format!(
                "envVars name {key:?} is not a letter or underscore and then letters, digits, underscores, \
                 1 to {LONGEST_KEY} bytes in all"
            ));
        }
        if value.contains(['\n', '\r', '\0']) {
            return invalid(format!("envVars {key:?} holds a line break or NUL"));
        }
    }
    check_size("envVars", env_vars)
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn check_size(name: &str, map: &Metadata) -> Result<(), Error> {
    let size = serde_json::to_vec(map).map_or(usize::MAX, |json| json.len());
    if size > LARGEST_MAP {
        return invalid(format!(
            "{name} is {size} bytes of JSON, at most {LARGEST_MAP} are allowed"
        ));
    }
    Ok(())
}

fn invalid(message: String) -> Result<(), Error> {
    Err(Error::Invalid(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Metadata {
        Metadata::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn metadata_limits_are_in_bytes() {
        assert!(check_metadata(&one(&"k".repeat(256), &"v".repeat(4096))).is_ok());
        assert!(check_metadata(&one(&"ä".repeat(129), "")).is_err());
        assert!(check_metadata(&one("", "")).is_err());
        assert!(check_metadata(&one("k", &"v".repeat(4097))).is_err());
        assert!(
            check_metadata(&(0..257).map(|n| (n.to_string(), String::new())).collect()).is_err()
        );
        assert!(
            check_metadata(&(0..17).map(|n| (n.to_string(), "v".repeat(4096))).collect()).is_err()
        );
    }

    #[test]
    fn variables_have_shell_names_and_one_line() {
        assert!(check_env_vars(&one("_A9", "x y=z")).is_ok());
        for (key, value) in [
            ("9A", ""),
            ("", ""),
            ("A-B", ""),
            ("Ä", ""),
            ("A", "x\ny"),
            ("A", "\0"),
        ] {
            assert!(
                check_env_vars(&one(key, value)).is_err(),
                "{key:?} {value:?}"
            );
        }
    }
}
