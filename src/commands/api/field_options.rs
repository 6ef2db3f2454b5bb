//! `-F` and `-f` in the order they are typed in, as items of a list are filled one after another.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::fields::{self, Field};
use crate::error::Error;

const TYPED: &str = "field";
const TEXT: &str = "raw-field";

/// Fields as typed.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldOptions(Vec<Word>);

#[derive(Clone, Debug)]
struct Word {
    option: &'static str,
    text: String,
}

impl FieldOptions {
    /// Reads the fields, and the files that they name.
    pub(super) fn read(&self) -> Result<Vec<Field>, Error> {
        let field = |word: &Word| match word.option {
            TEXT => fields::text(&word.text),
            _ => fields::typed(&word.text),
        };
        self.0.iter().map(field).collect()
    }
}

impl Args for FieldOptions {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, short| {
            let option = Arg::new(name).long(name).short(short);
            option.value_name("K=V").action(ArgAction::Append)
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
            let texts = matches.get_many::<String>(option).into_iter().flatten();
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
