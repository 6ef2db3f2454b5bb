//! Names of VMs and snapshots.

use super::Error;

/// The longest name, in code points.
const LONGEST_NAME: usize = 64;

/// Trims a name, folds each run of whitespace to one space and cuts it to 64 code points.
///
/// # Errors
/// When it holds a character that does something to a terminal, or changes the order in which others are shown.
pub(super) fn clean(name: &str) -> Result<String, Error> {
    let folded = name.split_whitespace().collect::<Vec<_>>().join(" ");
    check_text("name", &folded)?;
    let cut: String = folded.chars().take(LONGEST_NAME).collect();
    Ok(cut.trim_end().to_owned())
}

/// Refuses control characters in a text of one line.
pub(super) fn check_text(field: &str, text: &str) -> Result<(), Error> {
    match text.chars().find(|character| is_control(*character)) {
        None => Ok(()),
        Some(character) => Err(Error::Invalid(format!(
            "{field} holds the control character U+{:04X}",
            u32::from(character)
        ))),
    }
}

/// Returns whether a character is one of C0 and C1, or a mark, embedding, override or isolate of bidirectional text.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The name that was asked for, or `<prefix>-` and the first 8 characters of an id.
pub(super) fn clean_or_default(
    name: Option<&str>,
    prefix: &str,
    id: &str,
) -> Result<String, Error> {
    Ok(match clean(name.unwrap_or_default())? {
        empty if empty.is_empty() => format!("{prefix}-{}", id.get(..8).unwrap_or(id)),
        name => name,
    })
}

/// The new name of something that has one; it may not be empty.
pub(super) fn clean_new(name: &str) -> Result<String, Error> {
    match clean(name)? {
        empty if empty.is_empty() => Err(Error::Invalid("name is empty".to_owned())),
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_never_empty() {
        assert_eq!(clean("  a \t\n b  ").unwrap(), "a b");
        assert_eq!(clean(&"ä".repeat(70)).unwrap(), "ä".repeat(64));
        assert_eq!(
            clean_or_default(Some(" "), "vm", "0123456789").unwrap(),
            "vm-01234567"
        );
        assert!(clean_new("\t").is_err());
    }

    #[test]
    fn names_hold_no_control_characters() {
        for bad in [
            "a\0",
            "\u{1b}[2J",
            "a\u{7}b",
            "\u{7f}",
            "a\u{9b}2J",
            "\u{8}",
            "x\u{202e}y",
            "\u{200f}",
            "a\u{2066}b",
            "\u{61c}",
            &format!("{}\0", "x".repeat(100)),
        ] {
            assert!(clean(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            clean("a\0").unwrap_err().to_string(),
            "name holds the control character U+0000"
        );
        for good in ["日本語", "👩\u{200d}💻", "שלום", "a\u{85}b"] {
            assert!(clean(good).is_ok(), "{good:?}");
        }
    }
}
