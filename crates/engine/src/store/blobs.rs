//! Rows of staging objects. Their bytes are files.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

/// A staging object, uploaded or not yet.
#[derive(Clone, Debug)]
pub(crate) struct BlobRow {
    pub(crate) id: String,
    /// The VM that it was presigned for, with which it goes; empty for a build context.
    pub(crate) vm_id: String,
    /// The content type that an upload must state.
    pub(crate) content_type: String,
    /// The largest upload, in bytes.
    pub(crate) max_bytes: i64,
    /// Unix time in milliseconds.
    pub(crate) created_at_ms: i64,
}

pub(crate) fn insert(connection: &Connection, blob: &BlobRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO blobs(id, vm_id, content_type, max_bytes, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![blob.id, blob.vm_id, blob.content_type, blob.max_bytes, blob.created_at_ms])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<BlobRow>> {
    connection
        .prepare_cached(
            "SELECT id, vm_id, content_type, max_bytes, created_at_ms FROM blobs WHERE id = ?1",
        )?
        .query_row([id], |row| {
            Ok(BlobRow {
                id: row.get(0)?,
                vm_id: row.get(1)?,
                content_type: row.get(2)?,
                max_bytes: row.get(3)?,
                created_at_ms: row.get(4)?,
            })
        })
        .optional()
}

/// Forgets the objects of a VM and says which they were.
pub(crate) fn remove_of_vm(connection: &Connection, vm_id: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("DELETE FROM blobs WHERE vm_id = ?1 RETURNING id")?
        .query_map([vm_id], |row| row.get(0))?
        .collect()
}

/// Forgets the objects made before a time (Unix, milliseconds) and says which they were.
pub(crate) fn remove_older(
    connection: &Connection,
    before_ms: i64,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("DELETE FROM blobs WHERE created_at_ms < ?1 RETURNING id")?
        .query_map([before_ms], |row| row.get(0))?
        .collect()
}

/// Returns whether there are objects made before a time (Unix, milliseconds).
pub(crate) fn has_older(connection: &Connection, before_ms: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS(SELECT 1 FROM blobs WHERE created_at_ms < ?1)")?
        .query_row([before_ms], |row| row.get(0))
}

/// The ids of all objects.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT id FROM blobs")?
        .query_map([], |row| row.get(0))?
        .collect()
}
