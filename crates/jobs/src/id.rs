//! What a job is called.

use std::fmt;

use serde::Serialize;

/// The id of a job: twelve hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct JobId(String);

impl JobId {
    const LENGTH: usize = 12;

    /// A new one, by chance.
    pub(crate) fn new() -> Self {
        // The first digits of such an id are random, all of them.
        let mut digits = uuid::Uuid::new_v4().simple().to_string();
        digits.truncate(Self::LENGTH);
        Self(digits)
    }

    /// Reads a whole id; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == Self::LENGTH && is_hexadecimal(text)).then(|| Self(text.to_owned()))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The beginning of an id, in lower case; `None` for what cannot be one.
pub(crate) fn prefix(text: &str) -> Option<String> {
    const SHORTEST: usize = 4;
    let text = text.to_ascii_lowercase();
    ((SHORTEST..=JobId::LENGTH).contains(&text.len()) && is_hexadecimal(&text)).then_some(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_part_of_an_id_gets_into_a_script() {
        assert_eq!(
            JobId::parse(JobId::new().as_str()).map(|id| id.0.len()),
            Some(12)
        );
        assert_eq!(prefix("ABCD").as_deref(), Some("abcd"));
        for bad in [
            "",
            "abc",
            "../..",
            "abcd*",
            "abcd/..",
            "0123456789abc",
            "abcd\n",
        ] {
            assert_eq!(prefix(bad), None, "{bad:?}");
        }
    }
}
