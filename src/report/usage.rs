//! What clap says of a wrong command line, as one message and one hint.

use crate::error::Error;

/// Reads the text of a usage error: the message with all that belongs to it, and its tips, or else the usage, as the hint.
pub(super) fn failure(text: &str) -> Error {
    let (mut message, mut tips, mut usage) = (Vec::new(), Vec::new(), None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            tips.push(tip);
        } else if let Some(form) = line.strip_prefix("Usage: ") {
            usage = Some(form);
        } else if usage.is_none() && !line.starts_with("For more information") {
            message.push(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    let hint = match usage {
        _ if !tips.is_empty() => tips.join("; "),
        Some(usage) => format!("usage: {usage}"),
        None => "see what is possible with --help".to_owned(),
    };
    Error::usage(sentence(&message)).hint(hint)
}

/// Puts lines into one: what a colon announces is a list.
fn sentence(lines: &[&str]) -> String {
    match lines.split_first() {
        Some((first, rest)) if first.ends_with(':') => format!("{first} {}", rest.join(", ")),
        _ => lines.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_message_is_cut() {
        for (text, message, hint) in [
            (
                "error: the following required arguments were not provided:\n  <VM>\n  <NAME>\n\nUsage: fastvm vm rename <VM> <NAME>\n\nFor more information, try '--help'.\n",
                "the following required arguments were not provided: <VM>, <NAME>",
                "usage: fastvm vm rename <VM> <NAME>",
            ),
            (
                "error: invalid value 'x' for '--for <STATE>'\n  [possible values: running, paused]\n\n  tip: a similar value exists: 'running'\n\nFor more information, try '--help'.\n",
                "invalid value 'x' for '--for <STATE>' [possible values: running, paused]",
                "a similar value exists: 'running'",
            ),
            (
                "error: one value is required\n",
                "one value is required",
                "see what is possible with --help",
            ),
        ] {
            let failure = failure(text);
            assert_eq!(
                (failure.message(), failure.hint_text()),
                (message, Some(hint))
            );
        }
    }
}
