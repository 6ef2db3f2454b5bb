//! Patterns with `*`, `?` and `[…]`, as shells know them.

/// Returns whether a whole text fits a pattern. `*` is any run of characters, `?` one, `[a-z]` one of a class and `[^a-z]` none of
/// it; `\` takes the next character as it is. A class without its end is taken literally.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // where the last `*` stands, and the text it has not yet swallowed
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut here) = (0, 0);
    while here < text.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at + 1, here));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], text[here]) {
            at += length;
            here += 1;
        } else if let Some((after, swallowed)) = &mut star {
            *swallowed += 1;
            (at, here) = (*after, *swallowed);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&character| character == '*')
}

/// The length of the pattern's first element if it fits one character.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match *pattern {
        ['?', ..] => Some(1),
        ['\\', literal, ..] => (literal == character).then_some(2),
        ['[', ref rest @ ..] => match class(rest, character) {
            Some((true, length)) => Some(1 + length),
            Some((false, _)) => None,
            None => (character == '[').then_some(1),
        },
        [literal, ..] => (literal == character).then_some(1),
        [] => None,
    }
}

/// Returns whether a class behind its `[` holds the character, and its length with the `]`. None: it has no end.
fn class(pattern: &[char], character: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern, ['^' | '!', ..]);
    let first = usize::from(negated);
    let mut at = first;
    let mut holds = false;
    while *pattern.get(at)? != ']' || at == first {
        let low = pattern[at];
        if pattern.get(at + 1) == Some(&'-') && pattern.get(at + 2).is_some_and(|&high| high != ']')
        {
            holds |= (low..=pattern[at + 2]).contains(&character);
            at += 3;
        } else {
            holds |= low == character;
            at += 1;
        }
    }
    Some((holds != negated, at + 1))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_fits_the_whole_text() {
        for (pattern, text) in [
            ("web-*", "web-1"),
            ("*", ""),
            ("w?b", "wéb"),
            ("a*b*c", "a1b2b3c"),
            ("[a-c]x", "bx"),
            ("[^a-c]x", "dx"),
            ("[]]", "]"),
            (r"\*", "*"),
            ("[a", "[a"),
            ("**x", "yx"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("web", "web-1"),
            ("?", ""),
            ("a*b", "abc"),
            ("[a-c]", "d"),
            ("[!a]", "a"),
            (r"\*", "x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
