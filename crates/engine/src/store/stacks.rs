//! Which immutable layers a VM or snapshot stands on.
//!
//! A layer has no row: it exists as long as it is in a stack or is the upper of a VM.

use std::collections::HashSet;

use rusqlite::{Connection, params};

/// The layers of a VM or snapshot, top first.
pub(crate) fn get(connection: &Connection, owner: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT layer FROM stacks WHERE owner = ?1 ORDER BY depth")?
        .query_map([owner], |row| row.get(0))?
        .collect()
}

/// Gives a VM or snapshot other layers, top first.
pub(crate) fn set(connection: &Connection, owner: &str, layers: &[String]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM stacks WHERE owner = ?1")?
        .execute([owner])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO stacks(owner, depth, layer) VALUES (?1, ?2, ?3)")?;
    for (depth, layer) in layers.iter().enumerate() {
        insert.execute(params![owner, depth as i64, layer])?;
    }
    Ok(())
}

/// Takes an owner's layers away and says which of them, and of `more`, nobody needs any longer.
///
/// To be called when the owner's own row is gone.
pub(crate) fn remove(
    connection: &Connection,
    owner: &str,
    more: &[String],
) -> rusqlite::Result<Vec<String>> {
    let mut layers = get(connection, owner)?;
    layers.extend_from_slice(more);
    set(connection, owner, &[])?;
    let mut used = connection.prepare_cached(
        "SELECT EXISTS(SELECT 1 FROM stacks WHERE layer = ?1) OR EXISTS(SELECT 1 FROM vms WHERE upper = ?1)",
    )?;
    let mut free = Vec::new();
    for layer in layers {
        if !used.query_row([&layer], |row| row.get::<_, bool>(0))? {
            free.push(layer);
        }
    }
    Ok(free)
}

/// Every layer that a snapshot stands on.
pub(crate) fn under_snapshots(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT layer FROM stacks WHERE owner IN (SELECT id FROM snapshots)",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The VMs and snapshots that stand on a layer.
pub(crate) fn owners(connection: &Connection, layer: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT owner FROM stacks WHERE layer = ?1")?
        .query_map([layer], |row| row.get(0))?
        .collect()
}

/// Every layer that somebody needs.
pub(crate) fn used(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare_cached("SELECT layer FROM stacks UNION SELECT upper FROM vms")?
        .query_map([], |row| row.get(0))?
        .collect()
}
