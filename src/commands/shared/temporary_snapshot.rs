//! A snapshot that is made to launch copies of a VM from, and deleted again.

use std::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::resolve_name::Named;
use crate::commands::snapshot;
use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_api::types::Record;
use fastvm_api::types::snapshot::{CreateSnapshotRequest, Snapshot};
use fastvm_api::types::vm::Vm;
use fastvm_api::{self as api, Client};

/// How the names begin of those that are deleted, and of those that the user keeps.
const LEAVING: &str = "fork-";
const KEPT: &str = "kept-fork-";

/// Returns whether a name was made here for a snapshot that was to be deleted.
pub(crate) fn is_name_of_one(name: &str) -> bool {
    let made = name.strip_prefix(LEAVING).map(Uuid::try_parse);
    made.is_some_and(|made| made.is_ok_and(|made| made.get_version_num() == 4))
}

/// What stands for the id of the snapshot in the requests of a dry run.
const PLANNED_ID: &str = "SNAPSHOT_ID";

/// The snapshot of a dry run, which is never made.
fn planned() -> Record<Snapshot> {
    Record {
        value: Snapshot {
            id: PLANNED_ID.to_owned(),
            ..Snapshot::default()
        },
        json: RawValue::NULL.to_owned(),
    }
}

/// The snapshot. It is deleted by [`TemporarySnapshot::delete`] alone, as a drop cannot wait for a request.
#[derive(Debug)]
pub(crate) struct TemporarySnapshot {
    pub(crate) id: String,
    /// As the API has it. Nothing else has the name of one of ours, so that the snapshot and its VMs are found if an answer is lost.
    name: String,
    /// Whether there is nothing to delete any more.
    is_settled: bool,
    /// The API answers with the snapshot of before where a VM is saved twice in one pause: that one is the user's.
    is_ours: bool,
}

impl TemporarySnapshot {
    /// Saves a VM and waits until the snapshot is ready. On failure, and on a signal, no snapshot is left, or it is named.
    /// `keeps` says that the user wants it afterwards.
    pub(crate) async fn create(
        client: &Client,
        vm: &Named,
        limit: Duration,
        keeps: bool,
        signals: &mut Signals,
    ) -> Result<Self, Error> {
        let prefix = if keeps { KEPT } else { LEAVING };
        let name = format!("{prefix}{}", Uuid::new_v4());
        let before = client.list_snapshots().await?;
        let request = CreateSnapshotRequest {
            vm_id: vm.id.clone(),
            name: Some(name.clone()),
        };
        let created = signals.outlast(async {
            match client.create_snapshot(&request).await {
                Ok(record) => Ok(record),
                Err(api::Error::DryRun) => Ok(planned()),
                Err(error) => Err(uncreated(client, vm, error, &name).await),
            }
        });
        let (created, signal) = created
            .await
            .map_err(|first| first.error().hint(look_for(&name)))?;
        let record = match (created, signal) {
            (Ok(record), _) => record,
            (Err(error), None) => return Err(error),
            (Err(error), Some(signal)) => return Err(signal.error().also(error.message())),
        };
        let was_there = before.iter().any(|old| old.value.id == record.value.id);
        let mut snapshot = Self {
            id: record.value.id.clone(),
            name: record.value.name.clone().unwrap_or(name),
            is_settled: was_there,
            is_ours: !was_there,
        };
        let ready = match signal {
            Some(signal) => Err(signal.error()),
            None if snapshot.id == PLANNED_ID => Ok(()),
            None => tokio::select! {
                ready = snapshot::create::ready(client, record, limit) => ready.map(drop),
                signal = signals.next() => Err(signal.error()),
            },
        };
        match ready {
            Ok(()) => Ok(snapshot),
            Err(error) => Err(snapshot.delete_after(client, error, signals).await),
        }
    }

    /// Returns whether a VM was launched from it by this command. A snapshot of the user's may be the source of others.
    pub(crate) fn is_source_of(&self, vm: &Vm) -> bool {
        let source = vm.source_name.as_deref();
        self.is_ours && (source == Some(&self.name) || source == Some(&self.id))
    }

    /// How messages call it.
    pub(crate) fn label(&self) -> String {
        format!("{} ({})", visible(&self.name), visible(&self.id))
    }

    /// Deletes it, unless that was done already or it is not ours.
    pub(crate) async fn delete(&mut self, client: &Client) -> Result<(), Error> {
        if self.is_settled {
            return Ok(());
        }
        let problem = match client.delete_snapshot(&self.id).await {
            Ok(answer) if !answer.value.is_refused() => None,
            Ok(_) => Some("the API says that it is not deleted".to_owned()),
            Err(error) if error.is_not_found() => None,
            Err(api::Error::DryRun) => None,
            Err(error) => Some(error.to_string()),
        };
        let Some(problem) = problem else {
            self.is_settled = true;
            return Ok(());
        };
        let message = format!("snapshot {} could not be deleted: {problem}", self.label());
        Err(Error::new(Kind::Server, message)
            .id(&self.id)
            .hint(self.delete_command()))
    }

    /// Deletes it after a failure; a snapshot that is left is named. A signal does not cut this short, a second one does.
    pub(crate) async fn delete_after(
        &mut self,
        client: &Client,
        error: Error,
        signals: &mut Signals,
    ) -> Error {
        let hint = self.delete_command();
        match signals.outlast(self.delete(client)).await {
            Ok((Ok(()), _)) => error,
            Ok((Err(left), _)) => error.also(left.message()).hint(hint),
            Err(_) => error.hint(hint),
        }
    }

    /// The command that deletes what this one left.
    pub(crate) fn delete_command(&self) -> String {
        format!(
            "delete the snapshot with `fastvm snapshot delete {}`",
            visible(&self.id)
        )
    }
}

/// A request without an answer may have made a snapshot all the same: finds it by its name and deletes it.
async fn uncreated(client: &Client, vm: &Named, error: api::Error, name: &str) -> Error {
    let is_unknown = error.is_outcome_unknown();
    let error = vm.explain(error);
    if !is_unknown {
        return error;
    }
    let Ok(snapshots) = client.list_snapshots().await else {
        return error.hint(look_for(name));
    };
    for snapshot in snapshots
        .iter()
        .filter(|found| is_named(&found.value, name))
    {
        if client.delete_snapshot(&snapshot.value.id).await.is_err() {
            return error.hint(look_for(name));
        }
    }
    error
}

fn is_named(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.name.as_deref() == Some(name)
}

fn look_for(name: &str) -> String {
    format!("a snapshot may have been made; delete it with `fastvm snapshot delete {name}`")
}
