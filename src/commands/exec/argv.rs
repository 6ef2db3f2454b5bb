//! From words on the command line to the argv that runs in the VM.

use std::ffi::{OsStr, OsString};

use crate::error::Error;
use crate::output::control::bytes_visible;

/// How `exec` is typed.
pub(crate) const EXEC_EXAMPLE: &str = "fastvm exec VM 'ls -la'";

/// The words of a command, as they were typed.
pub(crate) type Words = Vec<OsString>;

/// Where a command is to run: the words that say so, and what is left of the words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// None where options choose the VMs.
    pub(super) vms: Vec<String>,
    pub(super) command: Words,
    /// What stands in the place of the command is an option.
    is_option: bool,
}

impl Split {
    /// Fails if an option stands where the command is missing.
    pub(super) fn check_command(&self) -> Result<(), Error> {
        match self.is_option {
            true => Err(empty(EXEC_EXAMPLE)),
            false => Ok(()),
        }
    }
}

/// How the VMs are told from the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// `VM COMMAND…`, or `VM VM… -- COMMAND…`.
    VmsThenCommand,
    /// All words are VMs: the command is an option.
    VmsOnly,
    /// All words are the command: options choose the VMs.
    CommandOnly,
}

/// Tells VMs and command apart. Several words before a `--` are VMs; a `--` that ends them belongs to nobody.
pub(super) fn split(grammar: Grammar, mut words: Words) -> Result<Split, Error> {
    let dashes = words.iter().position(|word| word == "--");
    let vms = match (grammar, dashes) {
        (Grammar::CommandOnly, _) => 0,
        (Grammar::VmsOnly, dashes) => dashes.unwrap_or(words.len()),
        (Grammar::VmsThenCommand, dashes) => dashes.unwrap_or(1).min(words.len()),
    };
    let mut command = words.split_off(vms);
    let is_option = grammar == Grammar::VmsThenCommand
        && command
            .first()
            .is_some_and(|word| word.len() > 1 && word != "--" && begins_with_dash(word));
    if command.first().is_some_and(|word| word == "--") {
        command.remove(0);
    }
    if words.is_empty() && grammar != Grammar::CommandOnly {
        return Err(Error::usage("no VM is given").hint(EXEC_EXAMPLE));
    }
    // Only behind a `--` can the first word begin with a dash: the names behind it are names.
    let is_said = words.first().is_some_and(|word| begins_with_dash(word));
    if let Some(option) = words.iter().find(|word| !is_said && begins_with_dash(word)) {
        let message = format!(
            "`{}` is an option, where a VM is expected",
            option.display()
        );
        return Err(Error::usage(message).hint("options of fastvm go before the first VM"));
    }
    let vms = words
        .into_iter()
        .map(|word| {
            word.into_string().map_err(|word| {
                Error::usage(format!(
                    "the name of the VM `{}` is not UTF-8",
                    bytes_visible(&word)
                ))
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Split {
        vms,
        command,
        is_option,
    })
}

fn begins_with_dash(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// Words as a request can carry them.
pub(crate) fn texts(words: Words) -> Result<Vec<String>, Error> {
    let texts = words.into_iter().map(OsString::into_string);
    texts
        .map(|word| word.map_err(|word| not_utf8(&word)))
        .collect()
}

/// One word is a shell line, several are an argv; `--shell` says it outright. `example` is what is shown where there is
/// no command.
pub(crate) fn command_of(
    shell: Option<&str>,
    words: Words,
    example: &str,
) -> Result<Vec<String>, Error> {
    let words = texts(words)?;
    let line = match (shell, words.as_slice()) {
        (Some(_), [word, ..]) => {
            let message = format!("both --shell and the command {word:?} are given");
            return Err(Error::usage(message).hint("give one of them"));
        }
        (Some(line), []) => line.to_owned(),
        (None, [line]) => line.clone(),
        (None, []) => return Err(empty(example)),
        (None, [program, ..]) if program.is_empty() => {
            return Err(Error::usage("the program's name is empty"));
        }
        (None, _) => return Ok(words),
    };
    if line.trim().is_empty() {
        return Err(empty(example));
    }
    Ok(vec!["sh".to_owned(), "-c".to_owned(), line])
}

fn empty(example: &str) -> Error {
    Error::usage("the command is empty").hint(example)
}

fn not_utf8(word: &OsStr) -> Error {
    Error::usage(format!(
        "the argument `{}` is not UTF-8, which the API cannot carry",
        bytes_visible(word)
    ))
    .hint("write the bytes with printf in a shell line")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Words {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn one_word_is_a_shell_line_and_several_stay_as_they_are() {
        assert_eq!(
            command_of(None, words(&["ls | wc"]), EXEC_EXAMPLE).unwrap(),
            ["sh", "-c", "ls | wc"]
        );
        assert_eq!(
            command_of(None, words(&["echo", "a  b", ""]), EXEC_EXAMPLE).unwrap(),
            ["echo", "a  b", ""]
        );
        assert_eq!(
            command_of(Some("a; b"), Vec::new(), EXEC_EXAMPLE).unwrap(),
            ["sh", "-c", "a; b"]
        );
    }

    #[test]
    fn nothing_to_run_is_refused() {
        for (shell, command) in [
            (None, &[][..]),
            (None, &[" "]),
            (None, &["", "x"]),
            (Some(""), &[]),
            (Some("a"), &["b"]),
        ] {
            assert!(
                command_of(shell, words(command), EXEC_EXAMPLE).is_err(),
                "{shell:?} {command:?}"
            );
        }
    }

    fn split_words(grammar: Grammar, typed: &[&str]) -> (Vec<String>, Words) {
        let split = split(grammar, words(typed)).unwrap();
        (split.vms, split.command)
    }

    #[test]
    fn a_double_dash_right_after_the_vm_is_dropped_and_later_ones_stay() {
        assert_eq!(
            split_words(Grammar::VmsThenCommand, &["dev", "--", "ls", "--", "x"]),
            (vec!["dev".to_owned()], words(&["ls", "--", "x"]))
        );
        assert_eq!(
            split_words(Grammar::CommandOnly, &["git", "log", "--", "x"]),
            (Vec::new(), words(&["git", "log", "--", "x"]))
        );
    }

    #[test]
    fn the_name_of_a_vm_may_begin_with_a_dash_behind_a_double_dash() {
        assert_eq!(
            split_words(Grammar::VmsThenCommand, &["-a", "true"]),
            (vec!["-a".to_owned()], words(&["true"]))
        );
        assert_eq!(
            split_words(Grammar::VmsThenCommand, &["-a", "-b", "--", "ls", "-l"]),
            (vec!["-a".to_owned(), "-b".to_owned()], words(&["ls", "-l"]))
        );
        assert!(split(Grammar::VmsThenCommand, words(&["a", "-b", "--", "ls"])).is_err());
    }

    #[test]
    fn several_words_before_a_double_dash_are_vms() {
        let vms = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(
            split_words(Grammar::VmsThenCommand, &["a", "b", "--", "ls", "-l"]),
            (vms.clone(), words(&["ls", "-l"]))
        );
        assert_eq!(
            split_words(Grammar::VmsOnly, &["a", "b"]),
            (vms, Vec::new())
        );
        assert!(split(Grammar::VmsThenCommand, words(&["--", "ls"])).is_err());
    }
}
