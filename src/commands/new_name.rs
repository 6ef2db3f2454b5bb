//! Names that the user gives to things.

/// Another name for a thing, which cannot be blank. The API cuts one of more than 64 characters.
pub(crate) fn new_name(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text.to_owned())
}
