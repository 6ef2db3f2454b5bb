//! Typed bytes as text: characters stay whole, however reads cut them.

use crate::text;

/// The most of one message, in bytes.
const LONGEST: usize = 64 * 1024;

/// The beginning of a character whose end has not been read.
#[derive(Debug, Default)]
pub(super) struct Typed {
    held: Vec<u8>,
}

impl Typed {
    /// Takes bytes and gives back text, in pieces of a message each. What is no UTF-8 at all becomes U+FFFD.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.held.extend_from_slice(bytes);
        let whole = text::whole_characters(&self.held);
        let rest = self.held.split_off(whole);
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held = rest;
        pieces(&text)
    }
}

fn pieces(mut text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let end = text.floor_char_boundary(LONGEST);
        pieces.push(text[..end].to_owned());
        text = &text[end..];
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_read_cut_stay_whole() {
        let text = "aé€😀z";
        for cut in 0..=text.len() {
            let mut typed = Typed::default();
            let mut all = typed.take(&text.as_bytes()[..cut]);
            all.extend(typed.take(&text.as_bytes()[cut..]));
            assert_eq!(all.concat(), text, "{cut}");
        }
    }

    #[test]
    fn a_large_paste_is_several_messages_of_whole_characters() {
        let text = "€".repeat(100_000);
        let pieces = Typed::default().take(text.as_bytes());
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= LONGEST));
        assert_eq!(pieces.concat(), text);
    }
}
