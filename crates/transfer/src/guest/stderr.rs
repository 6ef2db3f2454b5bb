//! What a command in a VM said, made fit to be shown.

/// Bytes of the end that are kept.
const MOST_KEPT: usize = 2000;

/// The end of a command's standard error: no control characters, no query of a URL, no blank lines around it.
pub(crate) fn clean(stderr: &[u8]) -> String {
    let start = stderr.len().saturating_sub(MOST_KEPT);
    let text = String::from_utf8_lossy(&stderr[start..]);
    let shown: String = text
        .chars()
        .map(|letter| {
            if letter == '\n' || !hides(letter) {
                letter
            } else {
                '\u{fffd}'
            }
        })
        .collect();
    let words = shown
        .trim()
        .split_inclusive([' ', '\n', '"', '\'', '<', '>']);
    words
        .map(|word| {
            if word.contains("://") {
                without_query(word)
            } else {
                word.to_owned()
            }
        })
        .collect()
}

fn without_query(word: &str) -> String {
    match word.split_once('?') {
        Some((host, rest)) => format!(
            "{host}?…{}",
            rest.chars()
                .last()
                .filter(|last| " \n\"'<>".contains(*last))
                .map_or(String::new(), String::from)
        ),
        None => word.to_owned(),
    }
}

/// Control characters, and those that reorder text.
fn hides(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_control_and_no_signature() {
        assert_eq!(clean(b"\x1b[31mred\x07\n"), "\u{fffd}[31mred\u{fffd}");
        assert_eq!(
            clean(b"curl: 'https://host/object?sig=secret' failed\n"),
            "curl: 'https://host/object?…' failed"
        );
        assert_eq!(clean(&[b'a'; 5000]).len(), 2000);
    }
}
