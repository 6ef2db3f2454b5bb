//! Calls about stored secrets for buckets.

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::credential::{CreateVolumeCredentialRequest, VolumeCredential};
use crate::types::{Deleted, Record};

impl Client {
    /// Returns all stored secrets, without the secrets themselves.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn list_credentials(&self) -> Result<Vec<Record<VolumeCredential>>, Error> {
        self.array(Request::get(["v1", "volume-credentials"])).await
    }

    /// Stores a secret, once. It never comes back.
    ///
    /// # Errors
    /// The request is not valid, or a failure of the request.
    pub async fn create_credential(
        &self,
        create: &CreateVolumeCredentialRequest,
    ) -> Result<Record<VolumeCredential>, Error> {
        let request = Request::post(["v1", "volume-credentials"]);
        self.created(request.once().json(create)?).await
    }

    /// Deletes a stored secret.
    ///
    /// # Errors
    /// The secret is not there or in use, or a failure of the request.
    pub async fn delete_credential(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "volume-credentials", id]).await
    }
}
