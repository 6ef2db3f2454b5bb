//! What a service may be called, and which ports it may have.

use fastvm_api::types::service::{LONGEST_NAME, LOWEST_PORT};

/// Reads a name: lower-case letters, digits and inner hyphens, as it becomes part of a host name.
pub(super) fn name(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if !(1..=LONGEST_NAME).contains(&length) {
        return Err(format!(
            "has {length} characters; 1 to {LONGEST_NAME} are allowed"
        ));
    }
    let fits = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if !text.chars().all(fits) || text.starts_with('-') || text.ends_with('-') {
        return Err("may have lower-case letters, digits and hyphens between them".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<i32, String> {
    let highest = i32::from(u16::MAX);
    match text.parse::<i32>() {
        Ok(port) if (LOWEST_PORT..=highest).contains(&port) => Ok(port),
        _ => Err(format!("must be a number from {LOWEST_PORT} to {highest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ports_have_the_limits_of_the_contract() {
        assert!(name(&"a".repeat(29)).is_ok() && name("a-1").is_ok());
        for bad in ["", &"a".repeat(30), "-a", "a-", "A", "a.b", "é"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(port("1024").is_ok() && port("65535").is_ok());
        for bad in ["1023", "65536", "http", "-1", ""] {
            assert!(port(bad).is_err(), "{bad}");
        }
    }
}
