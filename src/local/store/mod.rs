//! What exists, in SQLite. Several processes write to one database.

pub(crate) mod blobs;
pub(crate) mod credentials;
mod json;
mod schema;
pub(crate) mod settings;
pub(crate) mod snapshots;
pub(crate) mod stacks;
pub(crate) mod timers;
pub(crate) mod usage;
pub(crate) mod vms;
pub(crate) mod volumes;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Error;

/// How long a write waits for the write of another process.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to the database, shared by the threads of this process.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the database, made or brought to the present format when it is not.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Store {
            path: path.to_owned(),
            source,
        };
        let mut connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(PATIENCE).map_err(fail)?;
        schema::prepare(&mut connection, path)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Runs a question. It sees one state if it is one statement.
    pub(crate) fn read<T, E>(&self, ask: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        ask(&self.lock())
    }

    /// Runs reads and writes as one step that no other process interrupts; an error undoes all of them.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Does what [`Store::write`] does, and returns when this write and all before it are on the disk.
    pub(crate) fn write_durable<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.lock();
        connection.pragma_update(None, "synchronous", "FULL")?;
        let commit = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let outcome = commit(&mut connection);
        // A connection for which this fails is slower from now on, and no less right.
        connection.pragma_update(None, "synchronous", "NORMAL").ok();
        outcome
    }

    /// A thread that panicked left no half-made write: its transaction was rolled back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
