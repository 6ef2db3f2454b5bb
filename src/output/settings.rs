//! What the user chose about output, as plain values.

use std::str::FromStr;

use super::ApiOption;
use super::Error;
use super::jq::Filter;

/// Choices about output; options, environment and streams are resolved before they come here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `None` is the table of the command.
    pub format: Option<Format>,
    /// A jq filter over the JSON; it goes before `format`.
    pub jq: Option<String>,
    /// Columns of tables and CSV, in this order.
    pub columns: Option<Vec<String>>,
    /// Order of a list, in every format.
    pub sort: Option<Sort>,
    /// Whether tables and CSV start with the names of their columns.
    pub header: bool,
    /// Whether a table is cut to the width of the terminal.
    pub truncate: bool,
    /// No talk and no progress; warnings and errors stay.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    pub stdout_color: bool,
    pub stderr_color: bool,
    /// Whether progress is drawn with ASCII alone.
    pub is_ascii: bool,
    pub stdin_terminal: bool,
    pub stdout_terminal: bool,
    pub stderr_terminal: bool,
    /// Columns of the terminal, where there is one.
    pub width: Option<u16>,
    pub progress: ProgressMode,
    /// Every question is answered with yes.
    pub yes: bool,
    /// Every question is an error.
    pub no_input: bool,
    /// What commands in messages repeat.
    pub api_option: ApiOption,
}

/// Pipes, no colours, and a table with its header.
impl Default for Settings {
    fn default() -> Self {
        Self {
            format: None,
            jq: None,
            columns: None,
            sort: None,
            header: true,
            truncate: true,
            quiet: false,
            verbose: 0,
            stdout_color: false,
            stderr_color: false,
            is_ascii: false,
            stdin_terminal: false,
            stdout_terminal: false,
            stderr_terminal: false,
            width: None,
            progress: ProgressMode::Auto,
            yes: false,
            no_input: false,
            api_option: ApiOption::default(),
        }
    }
}

impl Settings {
    /// Returns whether the jq filter can be read, to be asked before anything is done.
    ///
    /// # Errors
    /// [`Error::Filter`] with what is wrong in it.
    pub fn check(&self) -> Result<(), Error> {
        self.filter().map(|_| ())
    }

    pub(super) fn filter(&self) -> Result<Option<Filter>, Error> {
        self.jq.as_deref().map(Filter::compile).transpose()
    }

    /// Returns whether an option asks for what only a table has: an order, or no header.
    fn asks_for_a_table(&self) -> bool {
        self.sort.is_some() || !self.header || !self.truncate
    }

    /// Returns whether people asked for a table of what has another form by itself.
    pub(super) fn wants_a_table(&self) -> bool {
        let is_for_people = matches!(self.format, None | Some(Format::Table | Format::Wide));
        self.jq.is_none() && is_for_people && self.asks_for_a_table()
    }

    /// Returns whether anything was said about how results are to print.
    pub fn asks_for_a_form(&self) -> bool {
        let asks = self.format.is_some() || self.jq.is_some() || self.columns.is_some();
        asks || self.asks_for_a_table()
    }

    /// Returns whether stdout carries JSON, so that errors are JSON too.
    pub fn wants_json(&self) -> bool {
        self.jq.is_some() || matches!(self.format, Some(Format::Json | Format::Jsonl))
    }
}

/// Form of the data on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// A table with more columns.
    Wide,
    /// One JSON document, indented.
    Json,
    /// One JSON document a line.
    Jsonl,
    Yaml,
    /// Comma-separated values with a header.
    Csv,
    /// One name a line.
    Name,
    /// One id a line.
    Id,
}

/// How progress is shown on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressMode {
    /// Drawn on a terminal, plain lines for transfers elsewhere.
    #[default]
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON event a line.
    Json,
    /// Nothing.
    None,
}

/// When text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that can, unless the environment says no.
    Auto,
    Always,
    Never,
}

/// Order of a list: `COLUMN`, `COLUMN:asc` or `COLUMN:desc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    pub column: String,
    pub order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl FromStr for Sort {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (column, order) = match text.split_once(':') {
            None | Some((_, "asc")) => (text.trim_end_matches(":asc"), Order::Ascending),
            Some((column, "desc")) => (column, Order::Descending),
            Some(_) => return Err(Error::NoSortOrder(text.to_owned())),
        };
        if column.is_empty() {
            return Err(Error::NoSortOrder(text.to_owned()));
        }
        Ok(Self {
            column: column.to_owned(),
            order,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_order_is_a_column_and_perhaps_a_direction() {
        let sort = |column: &str, order| Sort {
            column: column.to_owned(),
            order,
        };
        assert_eq!(
            "age".parse::<Sort>().unwrap(),
            sort("age", Order::Ascending)
        );
        assert_eq!(
            "age:asc".parse::<Sort>().unwrap(),
            sort("age", Order::Ascending)
        );
        assert_eq!(
            "age:desc".parse::<Sort>().unwrap(),
            sort("age", Order::Descending)
        );
        for wrong in ["", ":desc", "age:", "age:down", "age:desc:asc"] {
            assert!(wrong.parse::<Sort>().is_err(), "{wrong}");
        }
    }
}
