//! The words of an unfinished command line, as a shell hands them over, and candidates as the shell takes them back.

use std::sync::OnceLock;

/// The words before the one that is completed, and that one. Candidates depend on them.
static WORDS: OnceLock<Vec<String>> = OnceLock::new();

/// Returns the words of the line without their quotes, the unfinished one last; none before they are read.
pub(super) fn words() -> &'static [String] {
    WORDS.get().map_or(&[], Vec::as_slice)
}

/// The line that was typed.
pub(super) struct Typed {
    pub(super) words: Vec<String>,
    /// The quote that the last word is still in.
    quote: Option<char>,
    /// What of the last word the shell keeps to itself: bash cuts words at `:` and `=`.
    kept: String,
}

impl Typed {
    /// Words without quotes.
    pub(super) fn plain(words: Vec<String>) -> Self {
        // There is one line to a process.
        let _ = WORDS.set(words.clone());
        Self {
            words,
            quote: None,
            kept: String::new(),
        }
    }

    /// Words as the shell has them in its line, quotes and all; what follows the one at `index` does not count.
    pub(super) fn raw(words: &[String], index: usize) -> Self {
        let mut words = words[..words.len().min(index + 1)].to_vec();
        words.resize(index + 1, String::new());
        Self::new(&words, "")
    }

    /// Words that bash has cut at `:` and `=`. `line` is what was typed up to the cursor.
    pub(super) fn cut(words: &[String], index: usize, line: &str) -> Self {
        let is_break = |word: &str| !word.is_empty() && word.chars().all(|c| ":=".contains(c));
        let (mut joined, mut kept): (Vec<String>, _) = (Vec::new(), String::new());
        let mut at = 0;
        for (number, word) in words.iter().enumerate().take(index + 1) {
            let start = match word.is_empty() {
                true => line.len(),
                false => line[at..].find(word).map_or(line.len(), |found| at + found),
            };
            let before = number.checked_sub(1).map(|before| words[before].as_str());
            let belongs =
                start == at && before.is_some_and(|before| is_break(word) || is_break(before));
            if !belongs {
                joined.push(String::new());
            }
            let whole = joined.last_mut();
            if let Some(whole) = whole {
                kept.clone_from(whole);
                whole.push_str(word);
                if is_break(word) {
                    kept.clone_from(whole);
                }
            }
            at = (start + word.len()).min(line.len());
        }
        Self::new(&joined, &kept)
    }

    fn new(words: &[String], kept: &str) -> Self {
        let mut quote = None;
        let mut plain: Vec<String> = Vec::new();
        for word in words {
            let (text, open) = unquoted(word);
            quote = open;
            plain.push(text);
        }
        Self {
            quote,
            kept: unquoted(kept).0,
            ..Self::plain(plain)
        }
    }

    /// The candidate as bash is to put it in place of what it cut off; none that it could not hold.
    pub(super) fn for_bash(&self, candidate: &str) -> Option<String> {
        let rest = candidate.strip_prefix(&self.kept)?;
        if rest.contains(char::is_control) {
            return None;
        }
        Some(match self.quote {
            Some('\'') => rest.to_owned(),
            Some(_) => escaped(rest, |c| "\"\\$`".contains(c)),
            None => match rest.strip_prefix("~/") {
                Some(below) => format!("~/{}", escaped(below, is_special)),
                None => escaped(rest, is_special),
            },
        })
    }
}

fn is_special(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,^".contains(c)
}

fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_special(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The word without its quotes, and the quote that is still open.
pub(super) fn unquoted(word: &str) -> (String, Option<char>) {
    let (mut text, mut quote) = (String::new(), None);
    let mut letters = word.chars();
    while let Some(c) = letters.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '\\') => text.extend(letters.next()),
            (Some('"'), '\\') => match letters.next() {
                Some(c) if "\"\\$`".contains(c) => text.push(c),
                Some(c) => text.extend(['\\', c]),
                None => {}
            },
            _ => text.push(c),
        }
    }
    (text, quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn quotes_are_taken_off_also_where_they_are_open() {
        for (word, text, open) in [
            ("plain", "plain", None),
            (r"my\ vm", "my vm", None),
            ("\"my vm", "my vm", Some('"')),
            ("'it\\", "it\\", Some('\'')),
            ("a'b c'\"d\"", "ab cd", None),
        ] {
            assert_eq!(unquoted(word), (text.to_owned(), open), "{word}");
        }
    }

    #[test]
    fn what_bash_cuts_is_one_word_again() {
        let line = "cd /x; fastvm cp web-1:/e";
        let typed = Typed::cut(&words(&["fastvm", "cp", "web-1", ":", "/e"]), 4, line);
        assert_eq!(typed.words, ["fastvm", "cp", "web-1:/e"]);
        assert_eq!(typed.for_bash("web-1:/etc/"), Some("/etc/".to_owned()));
        let typed = Typed::cut(
            &words(&["fastvm", "cp", "web-1", ":"]),
            3,
            "fastvm cp web-1:",
        );
        assert_eq!(typed.words[2..], ["web-1:"]);
        assert_eq!(typed.for_bash("web-1:/etc/"), Some("/etc/".to_owned()));
        let typed = Typed::cut(&words(&["fastvm", "cp", "a", ":", ""]), 4, "fastvm cp a: ");
        assert_eq!(typed.words[2..], ["a:", ""]);
        assert_eq!(typed.for_bash("my vm"), Some(r"my\ vm".to_owned()));
        let typed = Typed::cut(
            &words(&["fastvm", "--context", "=", "p"]),
            3,
            "fastvm --context=p",
        );
        assert_eq!(typed.words[1..], ["--context=p"]);
        assert_eq!(typed.for_bash("--context=prod"), Some("prod".to_owned()));
    }

    #[test]
    fn a_candidate_goes_into_the_quotes_that_are_open() {
        let typed = |word: &str| Typed::raw(&words(&["fastvm", word]), 1);
        assert_eq!(typed("'my").for_bash("my $vm"), Some("my $vm".to_owned()));
        assert_eq!(
            typed("\"my").for_bash("my $vm"),
            Some(r"my \$vm".to_owned())
        );
        assert_eq!(typed("my").for_bash("my $vm"), Some(r"my\ \$vm".to_owned()));
        assert_eq!(typed("my").for_bash("my\nvm"), None);
    }
}
