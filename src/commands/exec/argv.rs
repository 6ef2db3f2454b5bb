//! From words on the command line to the argv that runs in the VM.

use std::ffi::OsString;

use crate::error::Error;

/// The words of a command, as they were typed.
pub(crate) type Words = Vec<OsString>;

/// Takes the VM from the front; a `--` after it belongs to nobody.
pub(super) fn split_vm(mut words: Words) -> Result<(String, Words), Error> {
    if words.is_empty() {
        return Err(Error::usage("no VM is named"));
    }
    let vm = words
        .remove(0)
        .into_string()
        .map_err(|_| Error::usage("the name of the VM is not UTF-8"))?;
    if words.first().is_some_and(|word| word == "--") {
        words.remove(0);
    }
    Ok((vm, words))
}

/// One word is a shell line, several are an argv; `--shell` says it outright.
pub(crate) fn command_of(shell: Option<&str>, words: Words) -> Result<Vec<String>, Error> {
    let words = words
        .into_iter()
        .map(|word| word.into_string().map_err(|word| not_utf8(&word)))
        .collect::<Result<Vec<_>, _>>()?;
    let line = match (shell, words.as_slice()) {
        (Some(_), [word, ..]) => {
            let message = format!("both --shell and the command {word:?} are given");
            return Err(Error::usage(message).hint("give one of them"));
        }
        (Some(line), []) => line.to_owned(),
        (None, [line]) => line.clone(),
        (None, []) => return Err(empty()),
        (None, [program, ..]) if program.is_empty() => {
            return Err(Error::usage("the program's name is empty"));
        }
        (None, _) => return Ok(words),
    };
    if line.trim().is_empty() {
        return Err(empty());
    }
    Ok(vec!["sh".to_owned(), "-c".to_owned(), line])
}

fn empty() -> Error {
    Error::usage("the command is empty").hint("fastvm exec VM 'ls -la'")
}

fn not_utf8(word: &OsString) -> Error {
    Error::usage(format!(
        "{} is not UTF-8, which the API cannot carry",
        word.display()
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
            command_of(None, words(&["ls | wc"])).unwrap(),
            ["sh", "-c", "ls | wc"]
        );
        assert_eq!(
            command_of(None, words(&["echo", "a  b", ""])).unwrap(),
            ["echo", "a  b", ""]
        );
        assert_eq!(
            command_of(Some("a; b"), Vec::new()).unwrap(),
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
                command_of(shell, words(command)).is_err(),
                "{shell:?} {command:?}"
            );
        }
    }

    #[test]
    fn a_double_dash_right_after_the_vm_is_dropped_and_later_ones_stay() {
        let (vm, rest) = split_vm(words(&["dev", "--", "ls", "--", "x"])).unwrap();
        assert_eq!((vm.as_str(), rest), ("dev", words(&["ls", "--", "x"])));
    }
}
