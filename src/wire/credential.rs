//! Stored secrets for buckets of the user's.

use serde::{Deserialize, Serialize};

/// A reference to a stored secret. The secret itself never comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeCredential {
    pub id: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339.
    pub created_at: String,
}

/// Stores a secret. Has no `Debug`: `data` is the secret.
#[derive(Clone, Serialize, Deserialize)]
#[expect(
    missing_debug_implementations,
    reason = "the secret must not be printable"
)]
pub struct CreateVolumeCredentialRequest {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub data: String,
}
