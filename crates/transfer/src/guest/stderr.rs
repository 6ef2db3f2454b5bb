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

/// What `find` could not read below `root`: the first path with the reason, and how many more. `None` if it says nothing of that.
pub(crate) fn unreadable(said: &str, root: &str) -> Option<String> {
    let mut told = said.lines().filter_map(|line| line.strip_prefix("find: "));
    let (path, reason) = told.next()?.rsplit_once(": ")?;
    let path = path.trim_matches(['\'', '"', '`', '\u{2018}', '\u{2019}']);
    let path = match path.strip_prefix("./") {
        Some(below) => format!("{}/{below}", root.trim_end_matches('/')),
        None if path == "." => root.to_owned(),
        None => path.to_owned(),
    };
    Some(match told.count() {
        0 => format!("{path}: {reason}"),
        1 => format!("{path}: {reason}, and 1 more path"),
        more => format!("{path}: {reason}, and {more} more paths"),
    })
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
    fn what_find_cannot_read_is_told_without_its_name() {
        let told = |said| unreadable(said, "/srv/");
        let gnu = "find: './a b/x': Permission denied\nnot everything below /srv can be read";
        assert_eq!(told(gnu).as_deref(), Some("/srv/a b/x: Permission denied"));
        let busybox = "find: ./a: Permission denied\nfind: ./b: I/O error\nfailed: find=1";
        assert_eq!(
            told(busybox).as_deref(),
            Some("/srv/a: Permission denied, and 1 more path")
        );
        assert_eq!(told("failed: tar=2"), None);
    }

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
