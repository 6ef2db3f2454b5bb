//! Rows of volumes. What is in a native one is a folder.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// A volume as it is known to the database.
#[derive(Clone, Debug)]
pub(crate) struct VolumeRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) backend: String,
    pub(crate) access_mode: String,
    /// Of a native one.
    pub(crate) size_gib: Option<i64>,
    /// Of object storage.
    pub(crate) uri: Option<String>,
    /// The id of the credential of object storage.
    pub(crate) credential: Option<String>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// A volume that a VM was launched with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    pub(crate) volume_id: String,
    pub(crate) mount_path: String,
    pub(crate) read_only: bool,
    pub(crate) backend: String,
    /// Whether the volume has other credentials since.
    pub(crate) rotation_required: bool,
}

const COLUMNS: &str =
    "id, name, backend, access_mode, size_gib, uri, credential, created_at, updated_at";

pub(crate) fn insert(connection: &Connection, volume: &VolumeRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO volumes({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))?
        .execute(params![
            volume.id,
            volume.name,
            volume.backend,
            volume.access_mode,
            volume.size_gib,
            volume.uri,
            volume.credential,
            volume.created_at,
            volume.updated_at,
        ])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<VolumeRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM volumes WHERE id = ?1"))?
        .query_row([id], read)
        .optional()
}

/// All volumes in the order of their making.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<VolumeRow>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM volumes ORDER BY number"))?
        .query_map([], read)?
        .collect()
}

/// The ids of all volumes.
pub(crate) fn ids(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT id FROM volumes")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Returns whether a credential is that of a volume.
pub(crate) fn uses_credential(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS(SELECT 1 FROM volumes WHERE credential = ?1)")?
        .query_row([id], |row| row.get(0))
}

/// Writes what can change of a volume.
pub(crate) fn update(connection: &Connection, volume: &VolumeRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE volumes SET name = ?2, credential = ?3, updated_at = ?4 WHERE id = ?1",
        )?
        .execute(params![
            volume.id,
            volume.name,
            volume.credential,
            volume.updated_at
        ])?;
    Ok(())
}

pub(crate) fn remove(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM volumes WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<VolumeRow> {
    Ok(VolumeRow {
        id: row.get(0)?,
        name: row.get(1)?,
        backend: row.get(2)?,
        access_mode: row.get(3)?,
        size_gib: row.get(4)?,
        uri: row.get(5)?,
        credential: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}
