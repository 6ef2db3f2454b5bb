//! Whether errors are to be JSON, for those that come before the command line is understood.

use crate::config::contexts::Contexts;
use crate::config::{Environment, LOCAL_CONTEXT, Paths};

/// Returns whether the words, the environment or the context ask for JSON, as far as they can be read.
pub(super) fn wants_json() -> bool {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let typed = Typed::read(&words);
    if typed.jq {
        return true;
    }
    let format = typed.output.clone().or_else(|| standing_format(&typed));
    format.is_some_and(|format| {
        let format = format.trim().to_ascii_lowercase();
        format == "json" || format == "jsonl"
    })
}

/// The format of the environment, or else of the context.
fn standing_format(typed: &Typed) -> Option<String> {
    let environment = Environment::capture().ok()?;
    if environment.output.is_some() {
        return environment.output;
    }
    let contexts = Contexts::load(&Paths::of(&environment).ok()?).ok()?;
    let name = typed.context.clone().or(environment.context);
    let name = name.or_else(|| contexts.current.clone())?;
    contexts.get(&name).ok()?.output
}

/// The options that decide about errors, by their words alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    jq: bool,
    output: Option<String>,
    context: Option<String>,
}

impl Typed {
    fn read(words: &[String]) -> Self {
        let mut typed = Self::default();
        let mut words = words.iter().take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            match name {
                "--json" => typed.output = Some("json".to_owned()),
                "--local" => typed.context = Some(LOCAL_CONTEXT.to_owned()),
                "--jq" => typed.jq = true,
                "--output" => typed.output = value.take().or_else(|| words.next().cloned()),
                "--context" => typed.context = value.take().or_else(|| words.next().cloned()),
                _ => match short(word) {
                    Some(('o', "")) => typed.output = words.next().cloned(),
                    Some(('o', format)) => typed.output = Some(format.to_owned()),
                    Some(('q', _)) => typed.jq = true,
                    _ => {}
                },
            }
        }
        typed
    }
}

/// The first short option of a word that takes a value, and what follows it: `-yojson` is `o` and `json`.
fn short(word: &str) -> Option<(char, &str)> {
    const FLAGS: &[char] = &['v', 'y', 'i', 'h'];
    let rest = word.strip_prefix('-')?.trim_start_matches(FLAGS);
    let option = rest.chars().next().filter(|option| *option != '-')?;
    let value = &rest[option.len_utf8()..];
    Some((option, value.strip_prefix('=').unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Typed {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Typed::read(&words)
    }

    #[test]
    fn a_format_is_read_in_every_way_it_is_typed() {
        for line in [
            "vm list -o json",
            "vm list -ojson",
            "-o=json",
            "--output json",
            "--output=json x",
            "-yo json",
            "-vvojson",
        ] {
            assert_eq!(read(line).output.as_deref(), Some("json"), "{line}");
        }
        for line in ["-q .id", "-q.id", "--jq .id", "--jq=.id", "-yq .id"] {
            assert!(read(line).jq, "{line}");
        }
        assert_eq!(read("exec dev -- -o json --json"), Typed::default());
        assert_eq!(read("--json -o csv").output.as_deref(), Some("csv"));
        assert_eq!(read("-o csv --json").output.as_deref(), Some("json"));
        assert_eq!(
            read("--context a --local").context.as_deref(),
            Some("local")
        );
        assert_eq!(read("--local --context a").context.as_deref(), Some("a"));
        assert_eq!(read("--context a").context.as_deref(), Some("a"));
    }
}
