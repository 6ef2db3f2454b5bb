//! Data in every format, on stdout.

use std::io::Write;

use serde_json::value::RawValue;

use super::control::{one_line, visible, visible_lines};
use super::jq::Filter;
use super::json::{self, Hidden, Layout};
use super::settings::Format;
use super::table::Table;
use super::ui::Ui;
use super::{Error, Record, yaml};

impl Ui {
    /// Prints a list, in the order of `--sort`.
    ///
    /// # Errors
    /// An unknown column, a wrong filter, and a stdout that takes no more.
    pub fn list<T>(&mut self, mut records: Vec<Record<T>>, table: &Table<T>) -> Result<(), Error> {
        if let Some(sort) = &self.settings.sort {
            table.sort(&mut records, sort)?;
        }
        if let Some(filter) = self.settings.filter()? {
            return self.filtered(&filter, &joined(&records));
        }
        match self.settings.format.unwrap_or(Format::Table) {
            Format::Csv => self.csv(&records, table)?,
            Format::Name => {
                self.one_a_line(records.iter().map(|record| table.name_of(&record.value)))?;
            }
            Format::Id => {
                self.one_a_line(records.iter().map(|record| (table.id)(&record.value)))?;
            }
            Format::Json => self.pretty_list(&records)?,
            Format::Jsonl => records
                .iter()
                .try_for_each(|record| self.compact(record.json.get()))?,
            Format::Yaml => self.yaml(&joined(&records))?,
            format @ (Format::Table | Format::Wide) => self.table(&records, table, format)?,
        }
        self.flush()
    }

    /// Puts things into the order of `--sort`, for a list that is cut before it prints.
    ///
    /// # Errors
    /// An unknown column, and things that JSON cannot express.
    pub fn sorted<T: serde::Serialize>(
        &self,
        things: Vec<T>,
        table: &Table<T>,
    ) -> Result<Vec<T>, Error> {
        let Some(sort) = &self.settings.sort else {
            return Ok(things);
        };
        let records: serde_json::Result<Vec<_>> = things.into_iter().map(Record::of).collect();
        let mut records = records.map_err(|error| Error::Unprintable {
            format: "JSON",
            message: error.to_string(),
        })?;
        table.sort(&mut records, sort)?;
        Ok(records.into_iter().map(|record| record.value).collect())
    }

    /// Prints one thing: a block of all its columns for people, else as in a list of one.
    ///
    /// # Errors
    /// As [`Ui::list`].
    pub fn one<T>(&mut self, record: Record<T>, table: &Table<T>) -> Result<(), Error> {
        if self.settings.jq.is_some() {
            return self.raw_json(&record.json);
        }
        match self.settings.format.unwrap_or(Format::Table) {
            Format::Csv | Format::Name | Format::Id | Format::Jsonl => {
                self.list(vec![record], table)
            }
            Format::Json | Format::Yaml => self.raw_json(&record.json),
            Format::Table | Format::Wide => {
                self.block(&record, table)?;
                self.flush()
            }
        }
    }

    /// Prints what a command did: a line for people where no form was asked for, else the thing as [`Ui::one`], or a table of
    /// it where an option of tables is given. The line is talk, which `--quiet` leaves out.
    ///
    /// # Errors
    /// As [`Ui::list`].
    pub fn outcome<T>(
        &mut self,
        record: Record<T>,
        table: &Table<T>,
        line: &str,
    ) -> Result<(), Error> {
        let printed = match (self.settings.wants_a_table(), self.wants_data()) {
            (true, _) => self.list(vec![record], table),
            (false, true) => self.one(record, table),
            (false, false) => return self.told(line),
        };
        printed.map_err(|error| error.although(line))
    }

    /// Prints what a command did to several things, as [`Ui::list`]. Where that fails the error says what was done.
    ///
    /// # Errors
    /// As [`Ui::list`].
    pub fn outcomes<T>(
        &mut self,
        records: Vec<Record<T>>,
        table: &Table<T>,
        done: &str,
    ) -> Result<(), Error> {
        let called = records.iter().map(|record| {
            let (name, id) = (table.name_of(&record.value), (table.id)(&record.value));
            match name == id {
                true => visible(id).into_owned(),
                false => format!("{} ({})", visible(name), visible(id)),
            }
        });
        let line = format!("{done} {}", called.collect::<Vec<_>>().join(", "));
        self.list(records, table)
            .map_err(|error| error.although(&line))
    }

    /// Returns whether the thing itself was asked for: by a form, a filter or columns.
    pub fn wants_data(&self) -> bool {
        self.settings.asks_for_a_form()
    }

    /// Prints what a command did, unless it is to be quiet.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn told(&mut self, line: &str) -> Result<(), Error> {
        match self.settings.quiet {
            true => Ok(()),
            false => {
                let messages = self.messages.clone();
                let line = messages.repeat_api_option(line);
                let written = self.line(&visible_lines(&line));
                written.map_err(|error| error.although(&line))
            }
        }
    }

    /// Prints any JSON; without a JSON or YAML format it is indented.
    ///
    /// # Errors
    /// A wrong filter, and a stdout that takes no more.
    pub fn raw_json(&mut self, json: &RawValue) -> Result<(), Error> {
        if let Some(filter) = self.settings.filter()? {
            return self.filtered(&filter, json.get());
        }
        self.unfiltered_json(json)
    }

    /// As [`Ui::raw_json`], with no filter.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn unfiltered_json(&mut self, json: &RawValue) -> Result<(), Error> {
        match self.settings.format {
            Some(Format::Yaml) => self.yaml(json.get())?,
            Some(Format::Jsonl) => match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
                Ok(items) => items.iter().try_for_each(|item| self.compact(item.get()))?,
                Err(_) => self.compact(json.get())?,
            },
            _ => {
                let hidden = self.hidden();
                json::write(
                    &mut self.stdout,
                    json.get(),
                    Layout::Pretty { level: 0 },
                    hidden,
                )?;
                self.stdout.write_all(b"\n")?;
            }
        }
        self.flush()
    }

    /// Prints one line of text, such as a setting or a URL.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.one_a_line([text])?;
        self.flush()
    }

    /// Passes bytes on as they are; [`Ui::flush`] sends them.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.stdout.write_all(bytes)?)
    }

    /// Sends what was printed.
    ///
    /// # Errors
    /// A stdout that takes no more.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.messages.above_progress(|| self.stdout.flush())?)
    }

    /// Prints what came before a failure, too.
    fn filtered(&mut self, filter: &Filter, json: &str) -> Result<(), Error> {
        let hidden = self.hidden();
        let ran = filter.run(json, &mut self.stdout, hidden);
        self.flush()?;
        ran
    }

    fn one_a_line<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let shown = if self.settings.stdout_terminal {
            visible
        } else {
            one_line
        };
        for text in texts {
            self.stdout.write_all(shown(text).as_bytes())?;
            self.stdout.write_all(b"\n")?;
        }
        Ok(())
    }

    fn pretty_list<T>(&mut self, records: &[Record<T>]) -> Result<(), Error> {
        let hidden = self.hidden();
        self.stdout.write_all(b"[")?;
        for (index, record) in records.iter().enumerate() {
            self.stdout
                .write_all(if index == 0 { b"\n  " } else { b",\n  " })?;
            json::write(
                &mut self.stdout,
                record.json.get(),
                Layout::Pretty { level: 1 },
                hidden,
            )?;
        }
        Ok(self
            .stdout
            .write_all(if records.is_empty() { b"]\n" } else { b"\n]\n" })?)
    }

    fn compact(&mut self, json: &str) -> Result<(), Error> {
        let hidden = self.hidden();
        json::write(&mut self.stdout, json, Layout::Compact, hidden)?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    fn yaml(&mut self, json: &str) -> Result<(), Error> {
        let yaml = yaml::from_json(json)?;
        let yaml = match self.settings.stdout_terminal {
            true => visible_lines(&yaml),
            false => yaml.as_str().into(),
        };
        Ok(self.stdout.write_all(yaml.as_bytes())?)
    }

    fn hidden(&self) -> Hidden {
        if self.settings.stdout_terminal {
            Hidden::Escape
        } else {
            Hidden::Keep
        }
    }
}

/// The records as one JSON array.
fn joined<T>(records: &[Record<T>]) -> String {
    let items: Vec<&str> = records.iter().map(|record| record.json.get()).collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::test_ui::{MACHINES, Machine, machines, ui};
    use super::*;
    use crate::output::{Settings, Streams};

    fn printed(settings: Settings, records: Vec<Record<Machine>>) -> String {
        let (mut ui, stdout, stderr) = ui(settings, "");
        ui.list(records, &MACHINES).unwrap();
        assert_eq!(stderr.text(), "");
        stdout.text()
    }

    fn in_format(format: Format) -> Settings {
        Settings {
            format: Some(format),
            ..Settings::default()
        }
    }

    fn sorted(by: &str) -> Settings {
        Settings {
            sort: Some(by.parse().unwrap()),
            ..in_format(Format::Name)
        }
    }

    #[test]
    fn json_is_the_exact_tokens_indented() {
        assert_eq!(
            printed(in_format(Format::Json), machines()),
            r#"[
  {
    "id": "b-2",
    "name": "web-2",
    "status": "running",
    "cpu": 10,
    "createdAt": "2026-01-02T03:00:05Z",
    "big": 12345678901234567890123
  },
  {
    "id": "a-1",
    "name": "web-1",
    "status": "error",
    "cpu": 9,
    "createdAt": "2025-12-28T00:00:00Z"
  }
]
"#
        );
        assert_eq!(printed(in_format(Format::Json), vec![]), "[]\n");
    }

    #[test]
    fn jsonl_yaml_name_and_id_print_every_record() {
        let jsonl = printed(in_format(Format::Jsonl), machines());
        assert_eq!(jsonl.lines().count(), 2);
        assert!(
            jsonl.ends_with(
                "\"status\":\"error\",\"cpu\":9,\"createdAt\":\"2025-12-28T00:00:00Z\"}\n"
            ),
            "{jsonl}"
        );
        let yaml = printed(in_format(Format::Yaml), machines());
        assert!(yaml.starts_with("- id: b-2\n  name: web-2\n"), "{yaml}");
        assert!(
            yaml.contains("  big: 12345678901234567890123\n- id: a-1\n"),
            "{yaml}"
        );
        assert_eq!(
            printed(in_format(Format::Name), machines()),
            "web-2\nweb-1\n"
        );
        assert_eq!(printed(in_format(Format::Id), machines()), "b-2\na-1\n");
        assert_eq!(printed(in_format(Format::Yaml), vec![]), "[]\n");
        assert_eq!(printed(in_format(Format::Jsonl), vec![]), "");
    }

    #[test]
    fn every_format_is_sorted_and_numbers_sort_as_numbers() {
        assert_eq!(printed(sorted("cpu"), machines()), "web-1\nweb-2\n");
        assert_eq!(printed(sorted("cpu:desc"), machines()), "web-2\nweb-1\n");
        assert_eq!(printed(sorted("AGE"), machines()), "web-1\nweb-2\n");
        assert_eq!(printed(sorted("note:desc"), machines()), "web-2\nweb-1\n");
    }

    #[test]
    fn one_thing_is_an_object_in_json_and_a_line_elsewhere() {
        let one = |format| {
            let (mut ui, stdout, _) = ui(in_format(format), "");
            ui.one(machines().remove(1), &MACHINES).unwrap();
            stdout.text()
        };
        assert!(one(Format::Json).starts_with("{\n  \"id\": \"a-1\",\n"));
        assert!(one(Format::Yaml).starts_with("id: a-1\nname: web-1\n"));
        assert_eq!(one(Format::Name), "web-1\n");
        assert_eq!(one(Format::Id), "a-1\n");
        assert_eq!(one(Format::Jsonl).lines().count(), 1);
    }

    #[test]
    fn any_json_prints_in_the_json_formats() {
        let raw = |settings, json: &str| {
            let (mut ui, stdout, _) = ui(settings, "");
            ui.raw_json(&RawValue::from_string(json.to_owned()).unwrap())
                .unwrap();
            stdout.text()
        };
        assert_eq!(
            raw(Settings::default(), r#"{"a":[1]}"#),
            "{\n  \"a\": [\n    1\n  ]\n}\n"
        );
        assert_eq!(raw(in_format(Format::Jsonl), "[ 1, [ 2 ] ]"), "1\n[2]\n");
        assert_eq!(
            raw(in_format(Format::Jsonl), r#"{ "a": 1 }"#),
            "{\"a\":1}\n"
        );
        assert_eq!(raw(in_format(Format::Yaml), r#"{"a":1}"#), "a: 1\n");
    }

    #[test]
    fn a_filter_goes_before_the_format_and_after_the_sort() {
        let settings = Settings {
            jq: Some(".[].name".to_owned()),
            ..sorted("name")
        };
        assert_eq!(printed(settings, machines()), "web-1\nweb-2\n");
        let (mut ui, stdout, _) = ui(
            Settings {
                jq: Some(".big".to_owned()),
                ..Settings::default()
            },
            "",
        );
        ui.one(machines().remove(0), &MACHINES).unwrap();
        assert_eq!(stdout.text(), "12345678901234567890123\n");
    }

    #[test]
    fn a_name_never_takes_two_lines() {
        let mut records = machines();
        records[0].value.name = "a\nb\u{9b}c".to_owned();
        records[1].value.name = String::new();
        assert_eq!(
            printed(in_format(Format::Name), records),
            "a\\nb\u{9b}c\na-1\n"
        );
    }

    #[test]
    fn a_terminal_sees_no_acting_character_in_any_format() {
        let text = "[{\"id\":\"i\u{9b}\",\"name\":\"n\u{202e}\\u001b[31m\",\"status\":\"s\u{7f}\",\"cpu\":1,\"createdAt\":\"\u{85}\"}]";
        for format in [
            Format::Table,
            Format::Wide,
            Format::Json,
            Format::Jsonl,
            Format::Yaml,
            Format::Csv,
            Format::Name,
            Format::Id,
        ] {
            let settings = Settings {
                stdout_terminal: true,
                ..in_format(format)
            };
            let shown = printed(settings, serde_json::from_str(text).unwrap());
            assert!(
                !shown.contains(|c| c != '\n' && super::super::control::acts_or_hides(c)),
                "{format:?}: {shown:?}"
            );
        }
    }

    #[test]
    fn a_closed_pipe_and_a_full_disk_are_told_apart() {
        struct Refusing(std::io::ErrorKind);
        impl Write for Refusing {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let fail = |kind| {
            let streams = Streams {
                stdin: Box::new(std::io::empty()),
                stdout: Box::new(Refusing(kind)),
                stderr: Box::new(std::io::sink()),
            };
            Ui::with_streams(Settings::default(), streams)
                .list(machines(), &MACHINES)
                .unwrap_err()
        };
        assert!(matches!(
            fail(std::io::ErrorKind::BrokenPipe),
            Error::BrokenPipe
        ));
        let full = fail(std::io::ErrorKind::StorageFull);
        assert_eq!(full.to_string(), "cannot write output: no storage space");
    }

    #[test]
    fn bytes_pass_unchanged() {
        let (mut ui, stdout, stderr) = ui(Settings::default(), "");
        ui.bytes(b"a\x1b\r\n\x00").unwrap();
        assert_eq!(stdout.text(), "");
        ui.flush().unwrap();
        ui.messages().bytes(b"\x1be").unwrap();
        ui.line("plain").unwrap();
        assert_eq!(
            (stdout.text().as_str(), stderr.text().as_str()),
            ("a\x1b\r\n\0plain\n", "\x1be")
        );
    }
}
