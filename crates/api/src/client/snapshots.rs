//! Calls about snapshots.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::snapshot::{CreateSnapshotRequest, Snapshot, UpdateSnapshotRequest};
use crate::types::{Deleted, Record};

impl Client {
    pub async fn list_snapshots(&self) -> Result<Vec<Record<Snapshot>>, Error> {
        self.array(Request::get(["v1", "snapshots"])).await
    }

    pub async fn get_snapshot(&self, id: &str) -> Result<Record<Snapshot>, Error> {
        self.thing(id, Request::get(["v1", "snapshots", id])).await
    }

    /// Asks for a snapshot, once. It may not be ready yet.
    pub async fn create_snapshot(
        &self,
        create: &CreateSnapshotRequest,
    ) -> Result<Record<Snapshot>, Error> {
        self.created(Request::post(["v1", "snapshots"]).once().json(create)?)
            .await
    }

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

    pub async fn delete_snapshot(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "snapshots", id]).await
    }
}
