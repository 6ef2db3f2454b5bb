//! Whether the API answers.

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::Record;
use crate::types::health::Health;

impl Client {
    /// Asks the API whether it is there. Needs no key.
    ///
    /// # Errors
    /// The API is not there, or is not well.
    pub async fn health(&self) -> Result<Record<Health>, Error> {
        self.object(Request::get(["healthz"])).await
    }
}
