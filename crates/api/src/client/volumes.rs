//! Calls about volumes.

use reqwest::Method;
use serde_json::value::RawValue;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::volume::{
    CreateVolumeRequest, UpdateVolumeRequest, Volume, VolumeAttachmentRecord,
};
use crate::types::{Deleted, Record};

impl Client {
    /// Returns all volumes.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn list_volumes(&self) -> Result<Vec<Record<Volume>>, Error> {
        self.array(Request::get(["v1", "volumes"])).await
    }

    /// Returns a volume.
    ///
    /// # Errors
    /// The volume is not there, or a failure of the request.
    pub async fn get_volume(&self, id: &str) -> Result<Record<Volume>, Error> {
        self.thing(id, Request::get(["v1", "volumes", id])).await
    }

    /// Asks for a volume, once. It may not be ready yet.
    ///
    /// # Errors
    /// The request is not valid, a quota is used up, or a failure of the request.
    pub async fn create_volume(
        &self,
        create: &CreateVolumeRequest,
    ) -> Result<Record<Volume>, Error> {
        self.created(Request::post(["v1", "volumes"]).once().json(create)?)
            .await
    }

    /// Changes a volume.
    ///
    /// # Errors
    /// The volume is not there, the change is not valid, or a failure of the request.
    pub async fn update_volume(
        &self,
        id: &str,
        change: &UpdateVolumeRequest,
    ) -> Result<Record<Volume>, Error> {
        self.thing(
            id,
            Request::new(Method::PATCH, ["v1", "volumes", id]).json(change)?,
        )
        .await
    }

    /// Deletes a volume.
    ///
    /// # Errors
    /// The volume is not there or in use, or a failure of the request.
    pub async fn delete_volume(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "volumes", id]).await
    }

    /// Returns the VMs that a volume is mounted in.
    ///
    /// # Errors
    /// The volume is not there, or a failure of the request.
    pub async fn volume_attachments(
        &self,
        id: &str,
    ) -> Result<Vec<Record<VolumeAttachmentRecord>>, Error> {
        self.array(Request::get(["v1", "volumes", id, "attachments"]))
            .await
    }

    /// Returns what the server tells of a volume's state: an object of free form, for people.
    ///
    /// # Errors
    /// The volume is not there, or a failure of the request.
    pub async fn volume_diagnostics(&self, id: &str) -> Result<Box<RawValue>, Error> {
        self.json(Request::get(["v1", "volumes", id, "diagnostics"]))
            .await
    }
}
