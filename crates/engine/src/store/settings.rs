//! Values that every engine on the data folder shares, made by the first one.

use rusqlite::{Connection, OptionalExtension, params};

use super::Store;

/// The setting of a name; the first to ask sets it to `fresh`.
pub(crate) fn read_or_set(store: &Store, name: &str, fresh: Vec<u8>) -> rusqlite::Result<Vec<u8>> {
    if let Some(value) = store.read(|connection| get(connection, name))? {
        return Ok(value);
    }
    store.write(|transaction| {
        set(transaction, name, &fresh)?;
        store.records().write_settings(transaction);
        Ok(get(transaction, name)?.unwrap_or(fresh))
    })
}

/// Sets a setting that is not set.
pub(crate) fn set(connection: &Connection, name: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO settings(name, value) VALUES (?1, ?2)",
        params![name, value],
    )?;
    Ok(())
}

fn get(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}
