//! Control characters made visible, so that text from a server or VM cannot steer the terminal or fake a line.

use std::borrow::Cow;
use std::ffi::OsStr;

/// The text with every character that acts or hides written as an escape: `\x1b`, `\n`, `\u{202e}`.
///
/// These are C0 and C1 controls, DEL, line and paragraph separators, and the zero-width, bidi and tag characters.
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, acts_or_hides)
}

/// As [`visible`], for words that may hold any byte: one that is no text shows as `\xFF`.
pub fn bytes_visible(word: &OsStr) -> String {
    let chunks = word.as_encoded_bytes().utf8_chunks();
    let texts = chunks.map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}"));
        format!("{}{}", visible(chunk.valid()), invalid.collect::<String>())
    });
    texts.collect()
}

/// As [`visible`], but line breaks stay: for our own text of several lines.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && acts_or_hides(c))
}

/// As [`visible`], but only line breaks are escaped: for machines that read one value a line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\r'))
}

/// Returns whether a character does something to a terminal, or cannot be seen on it.
pub fn acts_or_hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn escape(text: &str, refused: impl Fn(char) -> bool) -> Cow<'_, str> {
    // nearly all text is printable ASCII, and this loop is what a list of 10,000 rows spends its time in
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) || !text.contains(&refused) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if refused(c) {
            push_escape(&mut escaped, c);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn push_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    match c {
        '\n' | '\r' | '\t' => out.extend(c.escape_default()),
        _ if code < 0x80 => out.push_str(&format!("\\x{code:02x}")),
        _ => out.extend(c.escape_unicode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_becomes_an_escape() {
        for (text, shown) in [
            ("a\x1b[31mred\x07", r"a\x1b[31mred\x07"),
            ("two\nlines\r\tx", r"two\nlines\r\tx"),
            ("nul\0 del\x7f", r"nul\x00 del\x7f"),
            ("c1 \u{9b}31m", r"c1 \u{9b}31m"),
            ("evil\u{202e}gpj.exe", r"evil\u{202e}gpj.exe"),
            ("iso\u{2066}x\u{2069}", r"iso\u{2066}x\u{2069}"),
            ("zero\u{200b}width\u{feff}", r"zero\u{200b}width\u{feff}"),
            ("tag\u{e0041}", r"tag\u{e0041}"),
            ("line\u{2028}sep", r"line\u{2028}sep"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        for text in ["", "web-1", "größe ✓ 日本語 🦀", r"back\slash"] {
            assert!(
                matches!(visible(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn several_lines_of_our_own_keep_their_breaks() {
        assert_eq!(visible_lines("a\nb\x1b"), "a\nb\\x1b");
        assert_eq!(one_line("a\nb\x1b\u{200d}"), "a\\nb\x1b\u{200d}");
    }
}
