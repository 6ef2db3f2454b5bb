//! The key that leaves a console.

use std::str::FromStr;

/// A control character, or none: then only the other side ends the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escape(Option<u8>);

impl Escape {
    /// Returns whether the key is among what one read brought.
    pub fn is_in(self, bytes: &[u8]) -> bool {
        self.0.is_some_and(|key| bytes.contains(&key))
    }

    /// The key as people call it, such as `Ctrl-]`.
    pub fn name(self) -> Option<String> {
        self.0.map(|key| format!("Ctrl-{}", char::from(key + 64)))
    }
}

impl Default for Escape {
    fn default() -> Self {
        Self(Some(0x1d))
    }
}

impl FromStr for Escape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        match text.as_bytes() {
            [b'^', key @ (b'@'..=b'_' | b'a'..=b'z')] => {
                Ok(Self(Some(key.to_ascii_uppercase() - 64)))
            }
            _ => Err("must be a control character such as ^] or ^A, or none".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_with_a_caret() {
        assert_eq!("^]".parse(), Ok(Escape::default()));
        assert_eq!("^a".parse(), Ok(Escape(Some(1))));
        assert_eq!("none".parse(), Ok(Escape(None)));
        assert!("x".parse::<Escape>().is_err());
        assert_eq!(Escape::default().name().unwrap(), "Ctrl-]");
        assert!(Escape::default().is_in(b"ab\x1dc"));
    }
}
