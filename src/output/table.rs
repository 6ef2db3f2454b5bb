//! What a table of one kind of thing consists of: its columns, how they read and how they sort.

use std::cmp::Ordering;

use super::human::Now;
use super::settings::{Order, Sort};
use super::style::Style;
use super::{Error, Record};

/// The table of one kind of thing, declared once beside the command that prints it.
#[derive(Debug)]
pub struct Table<T: 'static> {
    /// One of them, as in "no VM".
    pub noun: &'static str,
    /// Many of them, as in "no VMs".
    pub plural: &'static str,
    pub columns: &'static [Column<T>],
    pub name: fn(&T) -> &str,
    pub id: fn(&T) -> &str,
    /// The command that makes the first one, shown under an empty list.
    pub empty_hint: Option<&'static str>,
}

/// A column: its machine value, and where they differ its text, order and colour.
#[derive(Debug)]
pub struct Column<T> {
    /// As typed in `--columns` and `--sort`; tables show it in upper case.
    pub name: &'static str,
    pub shown: Shown,
    /// For programs: RFC 3339 times, plain numbers. Empty where there is none.
    pub value: fn(&T) -> String,
    /// For people; the machine value where it is `None`.
    pub text: Option<fn(&T, &Now) -> String>,
    /// For CSV, where the value depends on the clock; the machine value where it is `None`.
    pub csv: Option<fn(&T, &Now) -> String>,
    /// Order of `--sort`; the machine value as text where it is `None`.
    pub sort: Option<fn(&T) -> SortKey>,
    pub tone: Option<fn(&T) -> Style>,
}

/// In which tables a column stands without being asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Always,
    /// With `-o wide`, in CSV, and in the block of a single thing.
    Wide,
    /// In the block of a single thing only.
    OnRequest,
    /// Only where `--columns` names it: it may be a secret.
    Named,
}

/// What a column sorts by: things without a value come last in either direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    Number(i128),
    Text(String),
    Missing,
}

impl SortKey {
    /// Sorts numbers by their size.
    pub fn number(number: Option<i64>) -> Self {
        number.map_or(Self::Missing, |number| Self::Number(number.into()))
    }

    /// Sorts things by their age, from the RFC 3339 time of their beginning: the youngest is the smallest.
    pub fn age(since: &str) -> Self {
        match Self::time(since) {
            Self::Number(moment) => Self::Number(-moment),
            none => none,
        }
    }

    /// Sorts RFC 3339 times by their moment.
    pub fn time(text: &str) -> Self {
        text.parse::<jiff::Timestamp>()
            .map_or(Self::Missing, |time| Self::Number(time.as_nanosecond()))
    }

    fn compare(&self, other: &Self, order: Order) -> Ordering {
        match (self, other, order) {
            (Self::Missing, _, _) | (_, Self::Missing, _) | (_, _, Order::Ascending) => {
                self.cmp(other)
            }
            (_, _, Order::Descending) => other.cmp(self),
        }
    }
}

impl<T> Column<T> {
    /// A column that is always shown and reads the same for people and programs.
    pub const fn new(name: &'static str, value: fn(&T) -> String) -> Self {
        Self {
            name,
            shown: Shown::Always,
            value,
            text: None,
            csv: None,
            sort: None,
            tone: None,
        }
    }

    #[must_use]
    pub const fn shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    #[must_use]
    pub const fn text(mut self, text: fn(&T, &Now) -> String) -> Self {
        self.text = Some(text);
        self
    }

    #[must_use]
    pub const fn csv(mut self, csv: fn(&T, &Now) -> String) -> Self {
        self.csv = Some(csv);
        self
    }

    #[must_use]
    pub const fn sort(mut self, sort: fn(&T) -> SortKey) -> Self {
        self.sort = Some(sort);
        self
    }

    #[must_use]
    pub const fn tone(mut self, tone: fn(&T) -> Style) -> Self {
        self.tone = Some(tone);
        self
    }

    fn sort_key(&self, thing: &T) -> SortKey {
        match self.sort {
            Some(sort) => sort(thing),
            None => match (self.value)(thing) {
                value if value.is_empty() => SortKey::Missing,
                value => SortKey::Text(value),
            },
        }
    }
}

impl<T> Table<T> {
    /// The columns that `--columns` names, else those that `wanted` lets through.
    ///
    /// # Errors
    /// A name that no column has.
    pub(super) fn choose(
        &self,
        names: Option<&[String]>,
        wanted: impl Fn(Shown) -> bool,
    ) -> Result<Vec<&'static Column<T>>, Error> {
        match names {
            Some(names) => names.iter().map(|name| self.column(name)).collect(),
            None => Ok(self
                .columns
                .iter()
                .filter(|column| wanted(column.shown))
                .collect()),
        }
    }

    /// Puts records into the order that `--sort` names; equal ones keep theirs.
    ///
    /// # Errors
    /// A name that no column has.
    pub(super) fn sort(&self, records: &mut Vec<Record<T>>, sort: &Sort) -> Result<(), Error> {
        let column = self.column(&sort.column)?;
        let keyed = records
            .drain(..)
            .map(|record| (column.sort_key(&record.value), record));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_by(|(left, _), (right, _)| left.compare(right, sort.order));
        records.extend(keyed.into_iter().map(|(_, record)| record));
        Ok(())
    }

    /// The name of a thing, or the id of one that has none.
    pub(super) fn name_of<'a>(&self, thing: &'a T) -> &'a str {
        match (self.name)(thing) {
            "" => (self.id)(thing),
            name => name,
        }
    }

    fn column(&self, name: &str) -> Result<&'static Column<T>, Error> {
        let found = self
            .columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| Error::UnknownColumn {
            column: name.trim().to_owned(),
            known: self
                .columns
                .iter()
                .map(|column| column.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}
