//! Text from a VM or a server: made visible, and cut to what an answer may hold.
//!
//! Lengths are in units, four of which stand for a token. A letter is one unit, what tokenizers split more often is
//! more. A unit is never less than a byte of the JSON that carries the text.

/// How many units a token is.
pub(crate) const UNITS_PER_TOKEN: usize = 4;

/// A character as it is shown, or a byte that is part of none.
#[derive(Clone, Copy)]
enum Piece {
    Char(char),
    Byte(u8),
}

impl Piece {
    /// How many bytes it stands for.
    fn length(self) -> usize {
        match self {
            Self::Char(c) => c.len_utf8(),
            Self::Byte(_) => 1,
        }
    }

    /// What it takes of the answer.
    fn units(self) -> usize {
        match self {
            Self::Char(c) if c.is_ascii_alphabetic() || c == ' ' => 1,
            Self::Char('\n' | '\t') => 2,
            Self::Char(c) if hides(c) => 3 * UNITS_PER_TOKEN,
            Self::Char(c) if c.is_ascii() => 2,
            Self::Char(c) if c.len_utf8() == 4 => 2 * UNITS_PER_TOKEN,
            Self::Char(_) => UNITS_PER_TOKEN,
            Self::Byte(_) => 3 * UNITS_PER_TOKEN,
        }
    }

    fn push(self, text: &mut String) {
        match self {
            Self::Char(c @ ('\n' | '\t')) => text.push(c),
            Self::Char(c) if hides(c) && c.is_ascii() => {
                text.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            Self::Char(c) if hides(c) => text.extend(c.escape_unicode()),
            Self::Char(c) => text.push(c),
            Self::Byte(byte) => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
}

/// Returns whether a character acts on a terminal, or cannot be seen: controls, and zero-width, bidi and tag characters.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e01ef}')
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(Piece::Char);
        valid.chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

fn joined(pieces: impl IntoIterator<Item = Piece>) -> String {
    let mut text = String::new();
    for piece in pieces {
        piece.push(&mut text);
    }
    text
}

/// Returns the bytes as text: what acts or hides, and what is no text, as `\x1b` or `\u{202e}`. Line breaks stay.
pub(crate) fn visible(bytes: &[u8]) -> String {
    joined(pieces(bytes))
}

/// As [`visible`], on one line.
pub(crate) fn visible_word(text: &str) -> String {
    visible(text.as_bytes())
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

/// Returns what the bytes take of an answer.
pub(crate) fn units(bytes: &[u8]) -> usize {
    pieces(bytes).map(Piece::units).sum()
}

/// Returns the beginning that fits in so many units, and how many bytes that is. It ends with a line where it can.
pub(crate) fn head(bytes: &[u8], room: usize) -> (String, usize) {
    let mut used = 0;
    let fitting = pieces(bytes).take_while(|piece| {
        used += piece.units();
        used <= room
    });
    let mut kept: Vec<_> = fitting.collect();
    if length(&kept) < bytes.len()
        && let Some(last) = kept.iter().rposition(is_break)
        && last > kept.len() / 2
    {
        kept.truncate(last + 1);
    }
    let length = length(&kept);
    (joined(kept), length)
}

/// Returns the end that fits in so many units, and how many bytes that is. It begins with a line where it can.
pub(crate) fn tail(bytes: &[u8], room: usize) -> (String, usize) {
    let all: Vec<_> = pieces(bytes).collect();
    let mut used = 0;
    let fitting = all.iter().rev().take_while(|piece| {
        used += piece.units();
        used <= room
    });
    let mut kept = &all[all.len() - fitting.count()..];
    if kept.len() < all.len()
        && let Some(first) = kept.iter().position(is_break)
        && first < kept.len() / 2
    {
        kept = &kept[first + 1..];
    }
    (joined(kept.iter().copied()), length(kept))
}

fn is_break(piece: &Piece) -> bool {
    matches!(piece, Piece::Char('\n'))
}

fn length(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.length()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_hides_or_is_no_text_becomes_an_escape() {
        for (bytes, shown) in [
            (&b"a\x1b[31m\n\tb"[..], "a\\x1b[31m\n\tb"),
            (b"\0\xff\r\n", "\\x00\\xff\\x0d\n"),
            (
                "\u{202e}\u{e0041}\u{200b}é".as_bytes(),
                "\\u{202e}\\u{e0041}\\u{200b}é",
            ),
        ] {
            assert_eq!(visible(bytes), shown);
        }
    }

    #[test]
    fn a_unit_is_no_less_than_a_byte_of_json() {
        let all = (0..=0xff_u8).map(|byte| vec![byte]);
        let chars = ['é', '漢', '😀', '\u{202e}', '\u{e0041}', '"', '\\'];
        let chars = chars.map(|c| c.to_string().into_bytes());
        for bytes in all.chain(chars) {
            let json = serde_json::to_string(&visible(&bytes)).unwrap();
            assert!(json.len() - 2 <= units(&bytes), "{json}");
        }
    }

    #[test]
    fn both_ends_fit_and_break_at_lines() {
        let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let (shown, length) = head(lines.as_bytes(), 100);
        assert!(
            shown.ends_with('\n') && units(shown.as_bytes()) <= 100,
            "{shown}"
        );
        assert_eq!(length, shown.len());
        let (shown, length) = tail(lines.as_bytes(), 100);
        assert!(
            shown.starts_with("line ") && shown.ends_with("999\n"),
            "{shown}"
        );
        assert_eq!(length, shown.len());
        assert_eq!(head(b"abc", 3), ("abc".to_owned(), 3));
        assert_eq!(tail(b"abc", 0), (String::new(), 0));
        assert_eq!(head(&[b'x'; 9], 4).1, 4);
    }
}
