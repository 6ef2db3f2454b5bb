//! Sizes that the API takes in whole GiB.

/// A number of GiB, as typed.
pub(crate) fn gib(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|gib| *gib >= 1)
        .ok_or_else(|| "must be a whole number of GiB, at least 1".to_owned())
}
