//! Names of VMs and snapshots.

use super::Error;

/// The longest name, in code points.
const LONGEST: usize = 64;

/// Trims a name, folds each run of whitespace to one space and cuts it to 64 code points.
pub(super) fn clean(name: &str) -> String {
    let folded = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = folded.chars().take(LONGEST).collect();
    cut.trim_end().to_owned()
}

/// The name that was asked for, or `<prefix>-` and the first 8 characters of an id.
pub(super) fn clean_or_default(name: Option<&str>, prefix: &str, id: &str) -> String {
    match clean(name.unwrap_or_default()) {
        empty if empty.is_empty() => format!("{prefix}-{}", id.get(..8).unwrap_or(id)),
        name => name,
    }
}

/// The new name of something that has one; it may not be empty.
pub(super) fn clean_new(name: &str) -> Result<String, Error> {
    match clean(name) {
        empty if empty.is_empty() => Err(Error::Invalid("name is empty".to_owned())),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_never_empty() {
        assert_eq!(clean("  a \t\n b  "), "a b");
        assert_eq!(clean(&"ä".repeat(70)), "ä".repeat(64));
        assert_eq!(
            clean_or_default(Some(" "), "vm", "0123456789"),
            "vm-01234567"
        );
        assert!(clean_new("\t").is_err());
    }
}
