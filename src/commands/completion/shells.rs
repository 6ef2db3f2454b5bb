//! How bash, zsh and fish ask and are answered; the other shells do it as clap_complete has it.

use std::ffi::OsString;
use std::io::{Error, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell};

use super::typed::{Typed, unquoted};

/// The shells that there are scripts for.
pub(super) const SHELLS: &[&dyn EnvCompleter] = &[&Bash, &Zsh, &OurFish, &Powershell, &Elvish];

/// bash cuts words at `:` and `=`, hands them over with their quotes, and puts in what it gets as it is.
struct Bash;

/// zsh hands words over with their quotes, and quotes what it gets.
struct Zsh;

/// fish hands the last word over with its quotes, and quotes what it gets.
struct OurFish;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        _var: &str,
        _name: &str,
        _bin: &str,
        _completer: &str,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        buf.write_all(include_bytes!("../../../completions/fastvm.bash"))
    }

    fn write_complete(
        &self,
        command: &mut Command,
        args: Vec<OsString>,
        folder: Option<&Path>,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let typed = match std::env::var("FASTVM_COMPLETE_LINE") {
            Ok(line) => Typed::cut(&texts(&args), index(), &line),
            Err(_) => Typed::raw(&texts(&args), index()),
        };
        for candidate in candidates(command, &typed, folder)? {
            let value = candidate.get_value().to_string_lossy();
            if let Some(word) = typed.for_bash(&value) {
                writeln!(buf, "{word}")?;
            }
        }
        Ok(())
    }
}

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        "zsh"
    }

    fn is(&self, name: &str) -> bool {
        name == "zsh"
    }

    fn write_registration(
        &self,
        _var: &str,
        _name: &str,
        _bin: &str,
        _completer: &str,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        buf.write_all(include_bytes!("../../../completions/_fastvm"))
    }

    fn write_complete(
        &self,
        command: &mut Command,
        args: Vec<OsString>,
        folder: Option<&Path>,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let typed = Typed::raw(&texts(&args), index());
        for candidate in candidates(command, &typed, folder)? {
            let value = candidate.get_value().to_string_lossy();
            if value.contains(char::is_control) {
                continue;
            }
            write!(buf, "{}", value.replace('\\', "\\\\").replace(':', "\\:"))?;
            let help = candidate.get_help().map(ToString::to_string);
            if let Some(line) = help.as_deref().and_then(|help| help.lines().next()) {
                write!(buf, ":{}", line.replace('\\', "\\\\"))?;
            }
            writeln!(buf)?;
        }
        Ok(())
    }
}

impl EnvCompleter for OurFish {
    fn name(&self) -> &'static str {
        "fish"
    }

    fn is(&self, name: &str) -> bool {
        name == "fish"
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        Fish.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        args: Vec<OsString>,
        folder: Option<&Path>,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let mut words = texts(&args);
        if let Some(last) = words.last_mut() {
            *last = unquoted(last).0;
        }
        let args = Typed::plain(words).words.into_iter();
        Fish.write_complete(command, args.map(OsString::from).collect(), folder, buf)
    }
}

fn candidates(
    command: &mut Command,
    typed: &Typed,
    folder: Option<&Path>,
) -> Result<Vec<CompletionCandidate>, Error> {
    let words: Vec<OsString> = typed.words.iter().map(OsString::from).collect();
    let last = words.len().saturating_sub(1);
    complete(command, words, last, folder)
}

fn texts(args: &[OsString]) -> Vec<String> {
    args.iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Which word the cursor is in.
fn index() -> usize {
    let index = std::env::var("_CLAP_COMPLETE_INDEX");
    index.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}
