//! Calls about snapshots.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::snapshot::{CreateSnapshotRequest, Snapshot, UpdateSnapshotRequest};
use crate::types::{Deleted, Record};

impl Client {
    /// Returns all snapshots.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn list_snapshots(&self) -> Result<Vec<Record<Snapshot>>, Error> {
        self.array(Request::get(["v1", "snapshots"])).await
    }

    /// Returns a snapshot.
    ///
    /// # Errors
    /// The snapshot is not there, or a failure of the request.
    pub async fn get_snapshot(&self, id: &str) -> Result<Record<Snapshot>, Error> {
        self.thing(id, Request::get(["v1", "snapshots", id])).await
    }

    /// Asks for a snapshot, once. It may not be ready yet: [`Client::wait_for_snapshot`] waits for that.
    ///
    /// # Errors
    /// The VM is not there or cannot be saved now, a quota is used up, or a failure of the request.
    pub async fn create_snapshot(
        &self,
        create: &CreateSnapshotRequest,
    ) -> Result<Record<Snapshot>, Error> {
        self.created(Request::post(["v1", "snapshots"]).once().json(create)?)
            .await
    }

    /// Renames a snapshot.
    ///
    /// # Errors
    /// The snapshot is not there, or a failure of the request.
    pub async fn update_snapshot(
        &self,
        id: &str,
        change: &UpdateSnapshotRequest,
    ) -> Result<Record<Snapshot>, Error> {
        self.thing(
            id,
            Request::new(Method::PATCH, ["v1", "snapshots", id]).json(change)?,
        )
        .await
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// The snapshot is not there, or a failure of the request.
    pub async fn delete_snapshot(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "snapshots", id]).await
    }
}
