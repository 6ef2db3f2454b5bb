//! Options of ours that were typed behind the VM or behind a shell line, where the official CLI takes them too.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::argv::Grammar;
use crate::cli::Cli;
use crate::output::control::bytes_visible;

/// The words of a command that was parsed: they are the end of the command line.
pub(crate) struct Trailing<'a> {
    pub(super) grammar: Grammar,
    pub(super) words: &'a [OsString],
}

impl<'a> Trailing<'a> {
    /// Words that are the command alone.
    pub(crate) fn command(words: &'a [OsString]) -> Self {
        Self {
            grammar: Grammar::CommandOnly,
            words,
        }
    }
}

/// Parses a command line. Options behind the VM or behind a shell line count as those before it.
///
/// # Errors
/// As clap has them; and where something follows such options that is neither an option nor the command.
pub(crate) fn parse(argv: &[OsString]) -> Result<(ArgMatches, Cli), clap::Error> {
    let (matches, cli) = parse_once(argv)?;
    let Some(trailing) = cli.command.trailing() else {
        return Ok((matches, cli));
    };
    let (head, words) = argv.split_at(argv.len() - trailing.words.len());
    // A `--` says that all of the rest is the command.
    let is_said = head.last().is_some_and(|word| word == "--");
    let options = trailing.options(&matches).filter(|_| !is_said);
    let Some(Options { at, place }) = options else {
        return Ok((matches, cli));
    };
    let (kept, moved) = words.split_at(at);
    if place == Place::Unknown {
        return Err(unknown(head, &moved[0]));
    }
    let (_, moved_cli) = parse_once(&[head, moved].concat())?;
    let moved_trailing = moved_cli.command.trailing();
    let rest = moved_trailing.as_ref().map_or(0, |rest| rest.words.len());
    // `-c` behind the VM is the command
    let has_line = moved_trailing.is_some_and(|rest| rest.grammar == Grammar::VmsOnly);
    if rest == 0
        && !has_line
        && trailing.grammar == Grammar::VmsThenCommand
        && place == Place::BehindVm
    {
        // There is no command: told once it is known that there is such a VM.
        return Ok((matches, cli));
    }
    if rest > 0 && place == Place::BehindLine {
        return Err(misplaced(&moved[0]));
    }
    let (moved, rest) = moved.split_at(moved.len() - rest);
    parse(&[head, moved, kept, rest].concat())
}

fn parse_once(argv: &[OsString]) -> Result<(ArgMatches, Cli), clap::Error> {
    let matches = Cli::command().try_get_matches_from(argv)?;
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((matches, cli))
}

fn misplaced(option: &OsStr) -> clap::Error {
    let message = format!(
        "`{}` stands behind the command, and words follow it: options of fastvm go before the VM or the command",
        option.display()
    );
    Cli::command().error(ErrorKind::UnknownArgument, message)
}

/// The refusal of an option that fastvm does not have, behind a shell line.
fn unknown(head: &[OsString], option: &OsStr) -> clap::Error {
    if let Err(error) = parse_once(&[head, &[option.to_owned()]].concat())
        && error.get(ContextKind::SuggestedArg).is_some()
    {
        return error;
    }
    let message = format!(
        "`{}` stands behind the command and is no option of fastvm: options go before the VM or the command, \
         and a `--` before the command hands on all that follows",
        bytes_visible(option)
    );
    Cli::command().error(ErrorKind::UnknownArgument, message)
}

/// Options among the words.
struct Options {
    /// Which word is the first of them.
    at: usize,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BehindVm,
    BehindLine,
    /// Behind a shell line, and not an option of the command.
    Unknown,
}

impl Trailing<'_> {
    fn options(&self, matches: &ArgMatches) -> Option<Options> {
        let behind_vm = |at| Options {
            at,
            place: Place::BehindVm,
        };
        let behind_line = |at, option| Options {
            at,
            place: match is_ours(option, matches) {
                true => Place::BehindLine,
                false => Place::Unknown,
            },
        };
        match (self.grammar, self.words) {
            (Grammar::VmsOnly, words) => {
                let end = words.iter().position(|word| word == "--");
                let vms = &words[..end.unwrap_or(words.len())];
                vms.iter().position(|word| is_option(word)).map(behind_vm)
            }
            (Grammar::VmsThenCommand, [_, option, ..]) if is_option(option) => Some(behind_vm(1)),
            (Grammar::VmsThenCommand, [_, line, option, ..])
                if is_shell_line(line) && is_option(option) =>
            {
                Some(behind_line(2, option))
            }
            (Grammar::CommandOnly, [line, option, ..])
                if is_shell_line(line) && is_option(option) =>
            {
                Some(behind_line(1, option))
            }
            _ => None,
        }
    }
}

fn is_option(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.len() > 1 && bytes[0] == b'-' && bytes != b"--"
}

/// Returns whether a word can hardly be the name of a program.
fn is_shell_line(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || b"|&;<>()$`\"'\\*?".contains(byte))
}

/// Returns whether the command that was typed has this option.
fn is_ours(word: &OsStr, matches: &ArgMatches) -> bool {
    let Some(word) = word.to_str().filter(|word| is_option(OsStr::new(word))) else {
        return false;
    };
    let mut root = Cli::command();
    root.build();
    let (mut command, mut level) = (&root, matches);
    while let Some((name, deeper)) = level.subcommand() {
        let Some(below) = command.find_subcommand(name) else {
            return false;
        };
        (command, level) = (below, deeper);
    }
    command
        .get_arguments()
        .any(|argument| match word.strip_prefix("--") {
            Some(long) => {
                let name = long.split('=').next();
                let aliases = argument.get_all_aliases().unwrap_or_default();
                argument.get_long() == name || aliases.iter().any(|alias| Some(*alias) == name)
            }
            None => {
                let short = word.chars().nth(1);
                let aliases = argument.get_all_short_aliases().unwrap_or_default();
                argument.get_short() == short || aliases.iter().any(|alias| Some(*alias) == short)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is parsed, as it would be typed with the options before the words.
    fn words(line: &[&str]) -> Result<Vec<String>, String> {
        let argv: Vec<OsString> = line.iter().map(OsString::from).collect();
        let (_, cli) = parse(&argv).map_err(|error| error.to_string())?;
        let trailing = cli.command.trailing().unwrap();
        let texts = trailing.words.iter();
        Ok(texts
            .map(|word| word.to_string_lossy().into_owned())
            .collect())
    }

    #[test]
    fn options_behind_a_vm_or_a_shell_line_are_ours() {
        for line in [
            &["fastvm", "exec", "dev", "sleep 5", "--timeout", "1"][..],
            &["fastvm", "exec", "dev", "sleep 5", "--timeout=1", "--json"],
            &["fastvm", "vm", "exec", "dev", "--timeout", "1", "sleep 5"],
            &["fastvm", "exec", "dev", "--json", "sleep 5", "-i"],
        ] {
            assert_eq!(words(line).unwrap(), ["dev", "sleep 5"], "{line:?}");
        }
        assert_eq!(
            words(&["fastvm", "run", "echo hi", "-n", "x", "--machine", "c1m2"]).unwrap(),
            ["echo hi"]
        );
        assert_eq!(
            words(&["fastvm", "exec", "-c", "ls", "a", "--json", "b"]).unwrap(),
            ["a", "b"]
        );
        assert_eq!(
            words(&["fastvm", "exec", "dev", "-c", "echo x"]).unwrap(),
            ["dev"]
        );
    }

    #[test]
    fn a_program_keeps_its_own_options() {
        for line in [
            &["fastvm", "exec", "dev", "ls", "-l"][..],
            &["fastvm", "exec", "dev", "grep", "-n", "x"],
            &["fastvm", "exec", "dev", "--", "a b", "--timeout", "1"],
            &["fastvm", "exec", "dev", "--", "a b", "--no-option-of-ours"],
            &["fastvm", "exec", "dev", "a b", "c", "--no-option-of-ours"],
        ] {
            assert_eq!(words(line).unwrap(), line[2..], "{line:?}");
        }
        assert_eq!(
            words(&["fastvm", "run", "--", "a b", "-n", "x"]).unwrap(),
            ["a b", "-n", "x"]
        );
        assert_eq!(
            words(&["fastvm", "run", "hostname", "-n", "x"]).unwrap(),
            ["hostname", "-n", "x"]
        );
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for (line, what) in [
            (
                &["fastvm", "run", "--snapsho", "golden", "make"][..],
                "--snapshot",
            ),
            (
                &["fastvm", "exec", "--tiemout", "5", "x", "true"],
                "--timeout",
            ),
            (&["fastvm", "exec", "x", "--tiemout", "5"], "--timeout"),
            (
                &["fastvm", "exec", "x", "sleep 5", "--timeout", "1", "y"],
                "go before the VM",
            ),
            (
                &["fastvm", "exec", "x", "sleep 5", "--tiemout", "1"],
                "--timeout",
            ),
            (&["fastvm", "run", "sleep 5", "--nmae", "x"], "--name"),
            (
                &["fastvm", "exec", "x", "sleep 5", "-5"],
                "go before the VM",
            ),
            (
                &["fastvm", "exec", "--all", "sleep 5", "--frobnicate"],
                "go before the VM",
            ),
        ] {
            let refusal = words(line).unwrap_err();
            assert!(refusal.contains(what), "{line:?}\n{refusal}");
        }
    }
}
