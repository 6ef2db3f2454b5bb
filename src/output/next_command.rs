//! Commands in messages, made to go to the same API as the command that prints them.

use std::borrow::Cow;

/// The option by which the user chose an API, for the commands in messages to repeat.
#[derive(Clone, Debug, Default)]
pub struct ApiOption(Option<String>);

impl ApiOption {
    /// Takes an option as it is typed, such as `--local` or `--context eu`.
    pub fn new(option: impl Into<String>) -> Self {
        Self(Some(option.into()))
    }

    /// Returns the text with the option in each command of ours that asks an API: one between backticks, or one that
    /// is the text.
    pub(super) fn repeat_in<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(option) = self.0.as_deref().filter(|_| text.contains(PROGRAM)) else {
            return Cow::Borrowed(text);
        };
        let pieces = text.split('`').enumerate();
        let pieces = pieces.map(|(index, piece)| match piece.strip_prefix(PROGRAM) {
            Some(words) if (index % 2 == 1 || !text.contains('`')) && takes(words, option) => {
                format!("{PROGRAM}{option} {words}")
            }
            _ => piece.to_owned(),
        });
        Cow::Owned(pieces.collect::<Vec<_>>().join("`"))
    }
}

const PROGRAM: &str = "fastvm ";

/// Whether a command takes the option, and has none for the same thing.
fn takes(words: &str, option: &str) -> bool {
    let mut typed = words.split(' ');
    if typed
        .clone()
        .any(|word| matches!(word, "--local" | "--context"))
    {
        return false;
    }
    match typed.next().unwrap_or_default() {
        "local" | "completion" | "help" | "man" => false,
        "context" => typed.next() == Some("show"),
        "login" | "logout" | "config" => option != "--local",
        first => !first.starts_with('-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_ask_an_api_repeat_the_option() {
        let local = ApiOption::new("--local");
        for (text, expected) in [
            (
                "delete it with `fastvm vm delete dev`",
                "delete it with `fastvm --local vm delete dev`",
            ),
            (
                "see `fastvm vm get dev`, or `fastvm quota`",
                "see `fastvm --local vm get dev`, or `fastvm --local quota`",
            ),
            (
                "fastvm vm launch --name dev",
                "fastvm --local vm launch --name dev",
            ),
            (
                "fastvm waits for the command to end; see `fastvm vm list`",
                "fastvm waits for the command to end; see `fastvm --local vm list`",
            ),
        ] {
            assert_eq!(local.repeat_in(text), expected);
            assert_eq!(local.repeat_in(expected), expected);
        }
        let context = ApiOption::new("--context eu");
        for (text, expected) in [
            (
                "check it with `fastvm context show`",
                "check it with `fastvm --context eu context show`",
            ),
            (
                "store one with `fastvm login`",
                "store one with `fastvm --context eu login`",
            ),
        ] {
            assert_eq!(context.repeat_in(text), expected);
        }
    }

    #[test]
    fn other_text_stays() {
        let local = ApiOption::new("--local");
        for text in [
            "",
            "no VM 'x'",
            "fastvm --local exec dev true",
            "run `fastvm login`, or use this machine with --local",
            "end it with `fastvm local reset`",
            "the VM said `rm` in fastvm exec",
            "let it in with `fastvm firewall allow dev tcp:80 --local`",
            "create one with `fastvm context create eu --base-url URL`",
        ] {
            assert_eq!(local.repeat_in(text), text);
        }
        assert_eq!(
            ApiOption::default().repeat_in("`fastvm top`"),
            "`fastvm top`"
        );
    }
}
