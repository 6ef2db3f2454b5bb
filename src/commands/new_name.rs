//! Names that the user gives to things.

/// The most characters that the server keeps of a name; it would cut the rest off without a word.
const MOST: usize = 64;

/// A name for a new thing, as typed. Blank lets the server choose one.
pub(crate) fn name(text: &str) -> Result<String, String> {
    // As the server counts: without blanks around it, and any blanks inside as one.
    let length = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .count();
    if length > MOST {
        return Err(format!(
            "it has {length} characters; at most {MOST} are allowed"
        ));
    }
    Ok(text.to_owned())
}

/// Another name for a thing, which cannot be blank.
pub(crate) fn new_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    name(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_as_the_server_does() {
        assert!(name(&"ä".repeat(64)).is_ok());
        assert!(name(&format!("  {}  {}  ", "a".repeat(31), "b".repeat(32))).is_ok());
        assert_eq!(
            name(&"a".repeat(65)).unwrap_err(),
            "it has 65 characters; at most 64 are allowed"
        );
        assert!(name("").is_ok());
        assert_eq!(new_name(" ").unwrap_err(), "it is empty");
    }
}
