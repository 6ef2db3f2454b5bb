//! A copy of each row as a small file, from which a repair makes a new database.
//!
//! A record is written after the change of its row and removed before the row is, so one that has no row tells of a row
//! that was lost, and never of one that was deleted. Another process may write one in between: who deletes removes it
//! once more afterwards, and who writes looks whether the row is still there. It is replaced whole and not waited for: what a crash of the computer
//! takes from it, the next change or the next sweep writes again.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::hooks::Action;
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{credentials, snapshots, stacks, vms, volumes};
use fastvm_api::types::vm::status;

/// The tables whose rows have records, and how these are called, in the order in which a repair needs them.
const TABLES: [(&str, &str); 4] = [
    ("credentials", "credential"),
    ("volumes", "volume"),
    ("vms", "vm"),
    ("snapshots", "snapshot"),
];

/// The record of the settings, which all are in one.
const SETTINGS: &str = "settings.json";

/// How old a record that was never finished must be to be removed.
const UNFINISHED_AGE: Duration = Duration::from_secs(60);

/// A copy of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Which table, as one thing is called: `vm`.
    pub(crate) kind: String,
    /// The columns by name.
    pub(crate) row: Map<String, Value>,
    /// What a VM or a snapshot stands on, top first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<String>,
    /// Where it was read from, if it was.
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Record {
    /// Returns a column that holds text; empty if it does not.
    pub(crate) fn text(&self, column: &str) -> &str {
        self.row
            .get(column)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the number that orders the rows of a table.
    pub(crate) fn number(&self) -> i64 {
        self.row.get("number").and_then(Value::as_i64).unwrap_or(0)
    }

    fn table(&self) -> Option<&'static str> {
        let table = TABLES.iter().find(|(_, kind)| *kind == self.kind);
        table.map(|(table, _)| *table)
    }
}

/// A row that was changed: the place of its table in [`TABLES`], and its number.
type Changed = (usize, i64);

/// The records of a data folder.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: PathBuf,
    changed: Arc<Mutex<Vec<Changed>>>,
}

/// What a committed change writes, and for none removes.
#[derive(Debug, Default)]
pub(super) struct Prepared(Vec<(Changed, Option<Record>)>);

impl Records {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            changed: Arc::default(),
        }
    }

    /// Notes from now on which rows a connection changes.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let changed = self.changed.clone();
        connection.update_hook(Some(move |_: Action, _: &str, table: &str, number: i64| {
            if let Some(table) = TABLES.iter().position(|(name, _)| *name == table) {
                let row = (table, number);
                let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
                if !changed.contains(&row) {
                    changed.push(row);
                }
            }
        }))
    }

    fn take_changed(&self) -> Vec<Changed> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *changed)
    }

    /// Forgets what was changed and undone.
    pub(super) fn forget_changes(&self) {
        self.take_changed();
    }

    /// Removes the records of rows that are removed or on their way, and returns those of the others. To be called last in
    /// the transaction that changes them.
    pub(super) fn prepare(&self, connection: &Connection) -> Prepared {
        let changed = self.take_changed();
        let prepared = changed.into_iter().filter_map(|row| {
            let (table, number) = row;
            match read_row(connection, table, number) {
                Ok(Some(record)) if is_lasting(&record) => Some((row, Some(record))),
                // It gets its record when it runs.
                Ok(Some(record)) if record.text("status") == status::PROVISIONING => None,
                _ => {
                    remove(&self.path(table, number));
                    Some((row, None))
                }
            }
        });
        Prepared(prepared.collect())
    }

    /// Writes the records of rows that were committed.
    pub(super) fn write(&self, connection: &Connection, prepared: Prepared) {
        for (row, record) in prepared.0 {
            match record {
                Some(record) => self.replace(connection, row, &record),
                None => remove(&self.path(row.0, row.1)),
            }
        }
    }

    /// One that cannot be written is removed, as is one whose row another process has deleted meanwhile: it would tell of
    /// what is no longer so.
    fn replace(&self, connection: &Connection, (table, number): Changed, record: &Record) {
        let path = self.path(table, number);
        self.keep_stranger(&path, record);
        let written = serde_json::to_vec(record)
            .map_err(io::Error::other)
            .and_then(|text| replace_file(&path, &text));
        if written.is_err() || matches!(read_row(connection, table, number), Ok(None)) {
            remove(&path);
        }
    }

    /// The record of a row that was lost may have the number of a new one. It is kept under another name.
    fn keep_stranger(&self, path: &Path, record: &Record) {
        let id = record.text("id");
        if let Some(other) = read_record(path).filter(|other| other.text("id") != id) {
            let kept = format!("lost-{}-{}.json", other.kind, other.text("id"));
            fs::rename(path, self.folder.join(kept)).unwrap_or_default();
        }
    }

    fn path(&self, table: usize, number: i64) -> PathBuf {
        let (_, kind) = TABLES[table];
        self.folder.join(format!("{kind}-{number}.json"))
    }

    /// Returns all records that can be read, in the order in which a repair needs them.
    pub(crate) fn all(&self) -> Vec<Record> {
        let mut records: Vec<_> = self
            .names()
            .iter()
            .filter_map(|name| read_record(&self.folder.join(name)))
            .collect();
        let rank = |record: &Record| TABLES.iter().position(|(_, kind)| *kind == record.kind);
        records.sort_by_key(|record| (rank(record), record.number()));
        records
    }

    /// Returns the records that have no row: what they tell of was lost.
    pub(crate) fn without_row(&self, connection: &Connection) -> rusqlite::Result<Vec<Record>> {
        // Before the rows: each of these has a row or is being removed.
        let records = self.all();
        let mut lost = Vec::new();
        for record in records {
            let Some(table) = record.table() else {
                continue;
            };
            let known = format!("SELECT EXISTS(SELECT 1 FROM {table} WHERE id = ?1)");
            let is_known: bool = connection
                .prepare_cached(&known)?
                .query_row([record.text("id")], |row| row.get(0))?;
            if !is_known {
                lost.push(record);
            }
        }
        // What was deleted meanwhile had its record removed before its row.
        let still_there: HashSet<_> = self.all().into_iter().map(key).collect();
        lost.retain(|record| still_there.contains(&key(record.clone())));
        Ok(lost)
    }

    /// Removes the file of a record whose row has another one now, or of which nothing is left.
    pub(crate) fn remove_tree(&self, record: &Record, row: Option<i64>) {
        let place = TABLES.iter().position(|(_, kind)| *kind == record.kind);
        let present = place
            .zip(row)
            .map(|(table, number)| self.path(table, number));
        if let Some(path) = record
            .path
            .as_ref()
            .filter(|path| present.as_ref() != Some(path))
        {
            remove(path);
        }
    }

    /// Returns whether the database has no row while there are records.
    pub(super) fn are_alone(&self, connection: &Connection) -> rusqlite::Result<bool> {
        if has_rows(connection)? || self.names().is_empty() {
            return Ok(false);
        }
        Ok(!self.without_row(connection)?.is_empty())
    }

    /// Writes the records that are missing of what `is_there`, by kind and id, and removes what was never finished. `with`
    /// gives the connection for a moment.
    pub(super) fn complete(
        &self,
        with: impl Fn(&mut dyn FnMut(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()>,
        is_there: impl Fn(&str, &str) -> bool,
    ) -> rusqlite::Result<()> {
        self.remove_unfinished();
        let names: HashSet<_> = self.names().into_iter().collect();
        for (table, (name, kind)) in TABLES.iter().enumerate() {
            let mut rows: Vec<(i64, String)> = Vec::new();
            with(&mut |connection| {
                rows = connection
                    .prepare_cached(&format!("SELECT number, id FROM {name}"))?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                Ok(())
            })?;
            for (number, id) in rows {
                if names.contains(&format!("{kind}-{number}.json")) || !is_there(kind, &id) {
                    continue;
                }
                with(&mut |connection| {
                    if let Some(record) = read_row(connection, table, number)?
                        && is_lasting(&record)
                    {
                        self.replace(connection, (table, number), &record);
                    }
                    Ok(())
                })?;
            }
        }
        if !self.folder.join(SETTINGS).exists() {
            with(&mut |connection| {
                self.write_settings(connection);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn remove_unfinished(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let is_unfinished = entry.file_name().to_string_lossy().starts_with('.');
            let age = entry
                .metadata()
                .and_then(|found| found.modified())
                .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
            if is_unfinished && age.is_ok_and(|age| age > UNFINISHED_AGE) {
                remove(&entry.path());
            }
        }
    }

    /// The names of the records, without that of the settings.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter(|name| !name.starts_with('.') && name != SETTINGS && name.ends_with(".json"))
            .collect()
    }

    /// Writes the record of the settings.
    pub(super) fn write_settings(&self, connection: &Connection) {
        let settings = all_settings(connection).unwrap_or_default();
        let text: BTreeMap<_, _> = settings
            .into_iter()
            .map(|(name, value)| (name, STANDARD.encode(value)))
            .collect();
        // Without it a repair makes new ones.
        if let Ok(text) = serde_json::to_vec(&text) {
            replace_file(&self.folder.join(SETTINGS), &text).unwrap_or_default();
        }
    }

    /// Returns the settings as they were recorded.
    pub(crate) fn settings(&self) -> BTreeMap<String, Vec<u8>> {
        let text = fs::read(self.folder.join(SETTINGS)).unwrap_or_default();
        let encoded: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
        let decode = |(name, text)| Some((name, STANDARD.decode::<String>(text).ok()?));
        encoded.into_iter().filter_map(decode).collect()
    }
}

/// Returns what can be read of the rows of a database that may be damaged.
pub(crate) fn salvage(connection: &Connection) -> Vec<Record> {
    let mut records = Vec::new();
    for (table, (name, _)) in TABLES.iter().enumerate() {
        let sql = format!("SELECT number FROM {name} ORDER BY number");
        let Ok(mut numbers) = connection.prepare(&sql) else {
            continue;
        };
        let Ok(numbers) = numbers.query_map([], |row| row.get::<_, i64>(0)) else {
            continue;
        };
        let numbers: Vec<i64> = numbers.map_while(Result::ok).collect();
        let rows = numbers
            .into_iter()
            .filter_map(|number| read_row(connection, table, number).ok().flatten());
        records.extend(rows.filter(is_lasting));
    }
    records
}

/// Returns the settings of a database.
pub(crate) fn all_settings(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<u8>>> {
    connection
        .prepare("SELECT name, value FROM settings")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Makes a row of a record again, and returns its number: another one where that of the record is taken.
pub(crate) fn insert(connection: &Connection, record: &Record) -> rusqlite::Result<i64> {
    let Some(table) = record.table() else {
        return Err(rusqlite::Error::InvalidQuery);
    };
    let columns: Vec<String> = connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let is_taken: bool = connection.query_row(
        &format!("SELECT EXISTS(SELECT 1 FROM {table} WHERE number = ?1)"),
        [record.number()],
        |row| row.get(0),
    )?;
    let known: Vec<_> = record
        .row
        .iter()
        .filter(|(name, _)| columns.contains(name) && !(is_taken && *name == "number"))
        .collect();
    let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
    let places = vec!["?"; names.len()].join(", ");
    let sql = format!(
        "INSERT INTO {table}({}) VALUES ({places})",
        names.join(", ")
    );
    let values = known.iter().map(|(_, value)| to_sql(value));
    connection.execute(&sql, params_from_iter(values))?;
    let number = connection.last_insert_rowid();
    let id = record.text("id");
    stacks::set(connection, id, &record.layers)?;
    // It must be what the rest of the program can read.
    match record.kind.as_str() {
        "vm" => drop(vms::get(connection, id)?),
        "snapshot" => drop(snapshots::get(connection, id)?),
        "volume" => drop(volumes::get(connection, id)?),
        _ => drop(credentials::get(connection, id)?),
    }
    Ok(number)
}

/// Returns whether a thing exists: it is not just being made or deleted.
fn is_lasting(record: &Record) -> bool {
    let status = record.text("status");
    record.kind != "vm" || ![status::PROVISIONING, status::DELETING].contains(&status)
}

fn key(record: Record) -> (String, String) {
    let id = record.text("id").to_owned();
    (record.kind, id)
}

fn has_rows(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM vms) OR EXISTS(SELECT 1 FROM snapshots)
                 OR EXISTS(SELECT 1 FROM volumes) OR EXISTS(SELECT 1 FROM credentials)",
        )?
        .query_row([], |row| row.get(0))
}

fn read_row(
    connection: &Connection,
    table: usize,
    number: i64,
) -> rusqlite::Result<Option<Record>> {
    let (name, kind) = TABLES[table];
    let mut select =
        connection.prepare_cached(&format!("SELECT * FROM {name} WHERE number = ?1"))?;
    let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
    let row = select
        .query_row([number], |row| {
            let values = columns.into_iter().enumerate().map(|(index, column)| {
                let value = from_sql(row.get_ref(index)?);
                Ok((column, value))
            });
            values.collect::<rusqlite::Result<Map<_, _>>>()
        })
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let mut record = Record {
        kind: kind.to_owned(),
        row,
        layers: Vec::new(),
        path: None,
    };
    record.layers = stacks::get(connection, record.text("id"))?;
    Ok(Some(record))
}

fn from_sql(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        // No column of these tables holds bytes.
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}

fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(number) => Sql::Integer(number),
            None => Sql::Real(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => Sql::Text(text.clone()),
        Value::Bool(yes) => Sql::Integer((*yes).into()),
        _ => Sql::Null,
    }
}

fn read_record(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(Record {
        path: Some(path.to_owned()),
        ..record
    })
}

fn remove(path: &Path) {
    // One that is not there is as good.
    fs::remove_file(path).unwrap_or_default();
}

fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_file_name(format!(".{}", Uuid::new_v4().simple()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| {
            // Where a file is renamed over another, ext4 writes it out at once, which takes a millisecond. Without a
            // record for an instant nothing is lost that is not missing anyway.
            remove(path);
            fs::rename(&beside, path)
        });
    if written.is_err() {
        remove(&beside);
    }
    written
}
