//! Tables, blocks and CSV: what is printed by columns.

use std::borrow::Cow;

use super::column_layout::{Cell, Grid, Screen};
use super::control::visible;
use super::human::Now;
use super::settings::Format;
use super::style::Style;
use super::table::{Column, Shown, Table};
use super::ui::Ui;
use super::{Error, Record, csv};

impl Ui {
    pub(super) fn table<T>(
        &mut self,
        records: &[Record<T>],
        table: &Table<T>,
        format: Format,
    ) -> Result<(), Error> {
        let columns = self.columns(table, |shown| match shown {
            Shown::Always => true,
            Shown::Wide => format == Format::Wide,
            Shown::OnRequest | Shown::Named => false,
        })?;
        if records.is_empty() {
            self.nothing_to_show(table);
            return Ok(());
        }
        let now = (self.clock)();
        let header = self.settings.header.then(|| {
            columns
                .iter()
                .map(|column| column.name.to_uppercase())
                .collect()
        });
        let row = |record: &Record<T>| {
            columns
                .iter()
                .map(|column| cell(column, &record.value, &now))
                .collect()
        };
        let screen = self.screen();
        let grid = Grid {
            header,
            rows: records.iter().map(row).collect(),
        };
        Ok(grid.write(&mut self.stdout, screen)?)
    }

    /// An empty pipe speaks for itself; at a terminal, silence would look like a fault.
    fn nothing_to_show<T>(&self, table: &Table<T>) {
        if self.settings.stdout_terminal {
            self.messages.status(&format!("no {}", table.plural));
            if let Some(hint) = table.empty_hint {
                self.messages.hint(hint);
            }
        }
    }

    pub(super) fn block<T>(&mut self, record: &Record<T>, table: &Table<T>) -> Result<(), Error> {
        let now = (self.clock)();
        let row = |column: &&Column<T>| {
            let label = Cell {
                text: format!("{}:", column.name),
                tone: Style::Plain,
            };
            vec![label, cell(column, &record.value, &now)]
        };
        let rows = self
            .columns(table, |shown| shown != Shown::Named)?
            .iter()
            .map(row)
            .collect();
        let screen = Screen {
            width: None,
            ..self.screen()
        };
        Ok(Grid { header: None, rows }.write(&mut self.stdout, screen)?)
    }

    pub(super) fn csv<T>(&mut self, records: &[Record<T>], table: &Table<T>) -> Result<(), Error> {
        let columns = self.columns(table, |shown| matches!(shown, Shown::Always | Shown::Wide))?;
        if self.settings.header {
            csv::write_line(&mut self.stdout, columns.iter().map(|column| column.name))?;
        }
        let terminal = self.settings.stdout_terminal;
        let now = (self.clock)();
        for record in records {
            let values = columns.iter().map(|column| match column.csv {
                Some(csv) => csv(&record.value, &now),
                None => (column.value)(&record.value),
            });
            let values = values.map(|value| {
                if terminal {
                    visible(&value).into_owned()
                } else {
                    value
                }
            });
            csv::write_line(&mut self.stdout, values)?;
        }
        Ok(())
    }

    fn columns<T>(
        &self,
        table: &Table<T>,
        wanted: impl Fn(Shown) -> bool,
    ) -> Result<Vec<&'static Column<T>>, Error> {
        table.choose(self.settings.columns.as_deref(), wanted)
    }

    fn screen(&self) -> Screen {
        let cut = self.settings.stdout_terminal && self.settings.truncate;
        Screen {
            width: self.settings.width.filter(|_| cut),
            color: self.settings.stdout_color,
        }
    }
}

/// A cell for people; what is empty shows as `-`, so that columns can be counted.
fn cell<T>(column: &Column<T>, thing: &T, now: &Now) -> Cell {
    let text = match column.text {
        Some(text) => text(thing, now),
        None => (column.value)(thing),
    };
    let text = match visible(&text) {
        _ if text.is_empty() => "-".to_owned(),
        Cow::Owned(escaped) => escaped,
        Cow::Borrowed(_) => text,
    };
    Cell {
        text,
        tone: column.tone.map_or(Style::Plain, |tone| tone(thing)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_ui::{MACHINES, machines, ui};
    use super::*;
    use crate::output::Settings;

    fn shown(settings: Settings) -> (String, String) {
        let (mut ui, stdout, stderr) = ui(settings, "");
        ui.list(machines(), &MACHINES).unwrap();
        (stdout.text(), stderr.text())
    }

    #[test]
    fn a_piped_table_is_plain_and_aligned() {
        assert_eq!(
            shown(Settings::default()).0,
            "NAME   ID   STATUS   AGE\nweb-2  b-2  running  4m\nweb-1  a-1  error    5d\n"
        );
        assert_eq!(
            shown(Settings {
                header: false,
                ..Settings::default()
            })
            .0,
            "web-2  b-2  running  4m\nweb-1  a-1  error    5d\n"
        );
        let wide = Settings {
            format: Some(Format::Wide),
            ..Settings::default()
        };
        assert!(shown(wide).0.starts_with("NAME   ID   STATUS   CPU  AGE\n"));
    }

    #[test]
    fn columns_come_in_the_asked_order_and_empty_cells_show() {
        let columns = Some(vec!["note".to_owned(), " Name".to_owned()]);
        assert_eq!(
            shown(Settings {
                columns,
                ..Settings::default()
            })
            .0,
            "NOTE  NAME\n-     web-2\n-     web-1\n"
        );
    }

    #[test]
    fn an_unknown_column_names_the_known_ones() {
        for format in [Format::Table, Format::Csv] {
            let columns = Some(vec!["nam".to_owned()]);
            let settings = Settings {
                columns,
                format: Some(format),
                ..Settings::default()
            };
            let error = ui(settings, "").0.list(machines(), &MACHINES).unwrap_err();
            assert_eq!(
                error.to_string(),
                "no column 'nam'; the columns are name, id, status, cpu, age, note"
            );
            assert!(error.is_usage());
        }
        let settings = Settings {
            sort: Some("x".parse().unwrap()),
            ..Settings::default()
        };
        assert!(ui(settings, "").0.list(vec![], &MACHINES).is_err());
    }

    #[test]
    fn status_is_coloured_only_with_colour() {
        let color = Settings {
            stdout_color: true,
            stdout_terminal: true,
            width: Some(80),
            ..Settings::default()
        };
        assert!(
            shown(color)
                .0
                .contains("web-2  b-2  \x1b[32mrunning\x1b[0m  4m\n")
        );
        let plain = Settings {
            stdout_terminal: true,
            width: Some(80),
            ..Settings::default()
        };
        assert!(!shown(plain).0.contains('\x1b'));
    }

    #[test]
    fn a_terminal_cuts_unless_told_not_to() {
        let narrow = Settings {
            stdout_terminal: true,
            width: Some(12),
            ..Settings::default()
        };
        assert!(
            shown(narrow.clone())
                .0
                .lines()
                .all(|line| line.chars().count() <= 12)
        );
        assert_eq!(
            shown(Settings {
                truncate: false,
                ..narrow
            }),
            shown(Settings::default())
        );
    }

    #[test]
    fn an_empty_table_speaks_only_at_a_terminal() {
        let empty = |settings| {
            let (mut ui, stdout, stderr) = ui(settings, "");
            ui.list(vec![], &MACHINES).unwrap();
            (stdout.text(), stderr.text())
        };
        assert_eq!(empty(Settings::default()), (String::new(), String::new()));
        let terminal = Settings {
            stdout_terminal: true,
            ..Settings::default()
        };
        assert_eq!(
            empty(terminal),
            (String::new(), "no VMs\nhint: fastvm vm launch\n".to_owned())
        );
        let quiet = Settings {
            stdout_terminal: true,
            quiet: true,
            ..Settings::default()
        };
        assert_eq!(empty(quiet), (String::new(), String::new()));
    }

    #[test]
    fn one_thing_is_a_block_of_all_columns() {
        let (mut ui, stdout, _) = ui(Settings::default(), "");
        ui.one(machines().remove(0), &MACHINES).unwrap();
        assert_eq!(
            stdout.text(),
            "name:    web-2\nid:      b-2\nstatus:  running\ncpu:     10\nage:     4m\nnote:    -\n"
        );
    }

    #[test]
    fn csv_has_machine_values() {
        let csv = Settings {
            format: Some(Format::Csv),
            ..Settings::default()
        };
        assert_eq!(
            shown(csv.clone()).0,
            "name,id,status,cpu,age\nweb-2,b-2,running,10,2026-01-02T03:00:05Z\nweb-1,a-1,error,9,2025-12-28T00:00:00Z\n"
        );
        let (mut ui, stdout, _) = ui(
            Settings {
                header: false,
                ..csv
            },
            "",
        );
        ui.one(machines().remove(0), &MACHINES).unwrap();
        assert_eq!(stdout.text(), "web-2,b-2,running,10,2026-01-02T03:00:05Z\n");
    }

    #[test]
    fn text_of_a_server_cannot_steer_a_table() {
        let (mut ui, stdout, _) = ui(Settings::default(), "");
        let mut records = machines();
        records[0].value.name = "x\n\x1b[2J".to_owned();
        ui.list(records, &MACHINES).unwrap();
        assert!(
            stdout.text().contains("\nx\\n\\x1b[2J  b-2"),
            "{}",
            stdout.text()
        );
    }
}
