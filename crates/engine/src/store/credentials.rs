//! Rows of stored credentials. The secrets are files of their own, never in the database.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

/// A credential as it is known to the database.
#[derive(Clone, Debug)]
pub(crate) struct CredentialRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) created_at: String,
}

const COLUMNS: &str = "id, name, kind, created_at";

pub(crate) fn insert(connection: &Connection, credential: &CredentialRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO credentials({COLUMNS}) VALUES (?1, ?2, ?3, ?4)"
        ))?
        .execute(params![
            credential.id,
            credential.name,
            credential.kind,
            credential.created_at
        ])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<CredentialRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM credentials WHERE id = ?1"))?
        .query_row([id], read)
        .optional()
}

/// All credentials in the order of their making.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<CredentialRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM credentials ORDER BY number"
        ))?
        .query_map([], read)?
        .collect()
}

/// The ids of all credentials.
pub(crate) fn ids(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT id FROM credentials")?
        .query_map([], |row| row.get(0))?
        .collect()
}

pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM credentials WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<CredentialRow> {
    Ok(CredentialRow {
        id: row.get(0)?,
        name: row.get(1)?,
        kind: row.get(2)?,
        created_at: row.get(3)?,
    })
}
