//! Results that are no wire objects: settings by name, numbers in a grid, what was deleted.

use std::io::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::control::visible;
use super::settings::Format;
use super::ui::Ui;
use super::{Column, Error, Record, Table};
use fastvm_api::types::Deleted;

/// How deletions print where a format is asked for.
/// What was deleted.
pub static DELETED: Table<Deleted> = Table {
    noun: "deletion",
    plural: "deletions",
    columns: &[
        Column::new("id", |deleted| deleted.id.clone()),
        Column::new("deleted", |deleted| {
            deleted.deleted.map(|is| is.to_string()).unwrap_or_default()
        }),
    ],
    name: |deleted| &deleted.id,
    id: |deleted| &deleted.id,
    empty_hint: None,
};

impl Ui {
    /// Returns whether results are for people: no JSON, no filter, no list for programs.
    pub fn shows_tables(&self) -> bool {
        self.settings.jq.is_none()
            && matches!(
                self.settings.format,
                None | Some(Format::Table | Format::Wide)
            )
    }

    /// Returns whether results print by columns: as tables or CSV.
    pub fn shows_columns(&self) -> bool {
        self.shows_tables()
            || self.settings.jq.is_none() && self.settings.format == Some(Format::Csv)
    }

    /// Prints names and values, a line each, values aligned.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn pairs(&mut self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            writeln!(self.stdout, "{name:width$}  {}", visible(value))?;
        }
        self.flush()
    }

    /// Prints rows under a header: the first column to the left, numbers to the right.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn numbers(&mut self, header: &[&str], rows: &[Vec<String>]) -> Result<(), Error> {
        let header = header
            .iter()
            .map(|name| name.to_uppercase())
            .collect::<Vec<_>>();
        let lines = self
            .settings
            .header
            .then_some(&header)
            .into_iter()
            .chain(rows);
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                lines
                    .clone()
                    .map(|line| line[column].width())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for line in lines {
            write!(self.stdout, "{:width$}", line[0], width = widths[0])?;
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                write!(self.stdout, "  {cell:>width$}")?;
            }
            writeln!(self.stdout)?;
        }
        self.flush()
    }

    /// Prints a value of our own as JSON, in every format but CSV and lists as one object.
    ///
    /// # Errors
    /// As [`Ui::raw_json`].
    pub fn value(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let json = serde_json::value::to_raw_value(value).map_err(|error| Error::Unprintable {
            format: "JSON",
            message: error.to_string(),
        })?;
        self.raw_json(&json)
    }

    /// Prints a list that no server sent, in every format.
    ///
    /// # Errors
    /// As [`Ui::list`].
    pub fn values<T: serde::Serialize>(
        &mut self,
        values: Vec<T>,
        table: &Table<T>,
    ) -> Result<(), Error> {
        let records: serde_json::Result<Vec<_>> = values.into_iter().map(Record::of).collect();
        let records = records.map_err(|error| Error::Unprintable {
            format: "JSON",
            message: error.to_string(),
        })?;
        self.list(records, table)
    }

    /// Prints a value of our own as JSON on one line, at once: whoever waits for it reads a line.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn value_line(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let json = serde_json::to_string(value).map_err(|error| Error::Unprintable {
            format: "JSON",
            message: error.to_string(),
        })?;
        writeln!(self.stdout, "{json}")?;
        self.flush()
    }

    /// Prints what was deleted, for programs; people were told on stderr.
    ///
    /// # Errors
    /// As [`Ui::list`].
    pub fn deleted(&mut self, records: Vec<Record<Deleted>>) -> Result<(), Error> {
        if self.shows_tables() {
            Ok(())
        } else {
            self.list(records, &DELETED)
        }
    }
}
