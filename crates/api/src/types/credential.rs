//! Stored secrets for buckets of the user's.

use serde::{Deserialize, Serialize};

use super::record::Thing;

/// A reference to a stored secret. The secret itself never comes back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeCredential {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    /// Name, as the user chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What kind of secret it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

impl Thing for VolumeCredential {
    fn id(&mut self) -> &mut String {
        &mut self.id
    }
}

/// Stores a secret. Has no `Debug`: `data` is the secret.
#[derive(Clone, Serialize, Deserialize)]
#[expect(
    missing_debug_implementations,
    reason = "the secret must not be printable"
)]
pub struct CreateVolumeCredentialRequest {
    /// Name, to tell secrets apart.
    pub name: String,
    /// What kind of secret it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The secret.
    pub data: String,
}
