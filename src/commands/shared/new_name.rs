//! Names that the user gives to things.

/// Another name for a thing, which cannot be blank. The API cuts one of more than 64 characters.
pub(crate) fn new_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// The longest name that the API keeps, in characters.
pub(crate) const LONGEST: usize = 64;

/// A name as the API keeps it.
pub(crate) fn kept(name: &str) -> String {
    let words: Vec<_> = name.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_without_spare_blanks_and_cut() {
        assert_eq!(kept("  a \t b "), "a b");
        assert_eq!(kept(&"ä".repeat(70)), "ä".repeat(64));
    }
}
