//! `-F` and `-f` in the order they are typed in, as items of a list are filled one after another.

use std::ffi::{OsStr, OsString};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::fields::{self, Field};
use crate::error::Error;
use crate::output::control::bytes_visible;

const TYPED: &str = "field";
const TEXT: &str = "raw-field";

/// Fields as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldOptions(Vec<Word>);

#[derive(Clone, Debug)]
struct Word {
    option: &'static str,
    text: OsString,
}

impl FieldOptions {
    /// Reads the fields, and the files that they name.
    pub(super) fn read(&self) -> Result<Vec<Field>, Error> {
        let field = |word: &Word| match (word.option, word.text.to_str()) {
            (TEXT, Some(text)) => fields::text(text),
            (_, Some(text)) => fields::typed(text),
            (option, None) => match path_of(&word.text) {
                Some((key, path)) if option == TYPED => fields::file(key, path),
                _ => {
                    let shown = bytes_visible(&word.text);
                    Err(Error::usage(format!("the field `{shown}` is not UTF-8")))
                }
            },
        };
        self.0.iter().map(field).collect()
    }
}

/// Splits `KEY=@FILE` where the path is no text.
#[cfg(unix)]
fn path_of(word: &OsStr) -> Option<(&str, &OsStr)> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = word.as_bytes();
    let at = bytes.windows(2).position(|pair| pair == b"=@")?;
    let key = std::str::from_utf8(&bytes[..at]).ok();
    Some((
        key.filter(|key| !key.is_empty())?,
        OsStr::from_bytes(&bytes[at + 2..]),
    ))
}

#[cfg(not(unix))]
fn path_of(_word: &OsStr) -> Option<(&str, &OsStr)> {
    None
}

impl Args for FieldOptions {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, short| {
            let option = Arg::new(name).long(name).short(short);
            option
                .value_name("K=V")
                .action(ArgAction::Append)
                .value_parser(ValueParser::os_string())
        };
        command
            .arg(option(TYPED, 'F').help(
                "Add a field: true, false, null and numbers are what they say, @FILE is the text of a file (can be repeated)",
            ))
            .arg(option(TEXT, 'f').help("Add a field whose value is text (can be repeated)"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FieldOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let of = |option: &'static str| {
            let places = matches.indices_of(option).into_iter().flatten();
            let texts = matches.get_many::<OsString>(option).into_iter().flatten();
            places
                .zip(texts.cloned())
                .map(move |(place, text)| (place, Word { option, text }))
        };
        let mut words: Vec<_> = of(TYPED).chain(of(TEXT)).collect();
        words.sort_by_key(|(place, _)| *place);
        Ok(Self(words.into_iter().map(|(_, word)| word).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
