//! What the organisation may use, and what it uses.

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::Record;
use crate::types::quota::QuotaUsage;

impl Client {
    /// Returns what the organisation may use, and what it uses.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn quotas(&self) -> Result<Record<QuotaUsage>, Error> {
        self.object(Request::get(["v1", "org", "quotas"])).await
    }
}
