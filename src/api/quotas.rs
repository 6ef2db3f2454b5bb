//! What the organisation may use, and what it uses.

use super::client::Client;
use super::error::Error;
use super::request::Request;
use crate::wire::Record;
use crate::wire::quota::QuotaUsage;

impl Client {
    pub async fn quotas(&self) -> Result<Record<QuotaUsage>, Error> {
        self.object(Request::get(["v1", "org", "quotas"])).await
    }
}
