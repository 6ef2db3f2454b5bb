//! Looking at snapshots, renaming and deleting them.

use std::collections::HashSet;

use super::{Core, Error, names};
use crate::store::snapshots::SnapshotRow;
use crate::store::{snapshots, stacks};
use fastvm_api::types::Deleted;
use fastvm_api::types::service::ServiceAnswer;
use fastvm_api::types::snapshot::{ERROR, Snapshot, UpdateSnapshotRequest};

impl Core {
    /// All snapshots, in the order of their making.
    pub(crate) fn list_snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let (rows, layers) = self.store.read(|connection| {
            let rows = snapshots::all(connection)?;
            Ok::<_, Error>((rows, stacks::under_snapshots(connection)?))
        })?;
        let mut damaged = HashSet::new();
        for layer in layers {
            if self.first_damage([&layer]).is_some() {
                damaged.extend(
                    self.store
                        .read(|connection| stacks::owners(connection, &layer))?,
                );
            }
        }
        let described = rows.into_iter().map(|row| match damaged.contains(&row.id) {
            true => self.describe_snapshot(unusable(row)),
            false => self.describe_snapshot(row),
        });
        Ok(described.collect())
    }

    /// One snapshot.
    pub(crate) fn get_snapshot(&self, id: &str) -> Result<Snapshot, Error> {
        let (row, layers) = self.store.read(|connection| {
            let row = snapshots::get(connection, id)?.ok_or_else(|| Error::no_snapshot(id))?;
            Ok::<_, Error>((row, stacks::get(connection, id)?))
        })?;
        // Who asks may be waiting for one whose maker died.
        let row = self.finish_snapshot(row)?;
        Ok(match self.first_damage(&layers) {
            Some(_) => self.describe_snapshot(unusable(row)),
            None => self.describe_snapshot(row),
        })
    }

    /// Renames a snapshot.
    pub(crate) fn update_snapshot(
        &self,
        id: &str,
        change: &UpdateSnapshotRequest,
    ) -> Result<Snapshot, Error> {
        let Some(name) = &change.name else {
            return Err(Error::Invalid("nothing to change: give name".to_owned()));
        };
        let name = names::clean_new(name)?;
        let row = self.store.write(|transaction| {
            snapshots::set_name(transaction, id, &name)?;
            snapshots::get(transaction, id)?.ok_or_else(|| Error::no_snapshot(id))
        })?;
        Ok(self.describe_snapshot(row))
    }

    /// Deletes a snapshot, and the layers that nobody else stands on.
    pub(crate) fn delete_snapshot(&self, id: &str) -> Result<Deleted, Error> {
        let layers = self.store.write(|transaction| {
            snapshots::get(transaction, id)?.ok_or_else(|| Error::no_snapshot(id))?;
            snapshots::remove(transaction, id)?;
            Ok::<_, Error>(stacks::remove(transaction, id, &[])?)
        })?;
        layers
            .iter()
            .try_for_each(|layer| self.throw(&self.folder.layer(layer)))?;
        Ok(Deleted {
            id: id.to_owned(),
            deleted: Some(true),
        })
    }

    /// A snapshot as the contract shows it.
    pub(super) fn describe_snapshot(&self, row: SnapshotRow) -> Snapshot {
        Snapshot {
            id: row.id,
            name: Some(row.name),
            org_id: Some(self.org_id.clone()),
            vm_id: Some(row.vm_id),
            firewall: Some(row.firewall.into()),
            metadata: Some(row.metadata),
            status: Some(row.status),
            created_at: Some(row.created_at),
            env_vars: Some(row.env_vars),
            services: Some(row.services.into_iter().map(ServiceAnswer::from).collect()),
        }
    }
}

/// A snapshot that cannot be restored as it is now: a layer may be missing, and be put back.
fn unusable(row: SnapshotRow) -> SnapshotRow {
    SnapshotRow {
        status: ERROR.to_owned(),
        ..row
    }
}
