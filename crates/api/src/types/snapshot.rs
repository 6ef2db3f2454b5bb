//! Saved states of VMs.

use serde::{Deserialize, Serialize};

use super::firewall::PolicyAnswer;
use super::record::Thing;
use super::service::ServiceAnswer;
use super::{EnvVars, Metadata};

/// The status of a snapshot that is being made.
pub const CREATING: &str = "creating";
/// The status of a snapshot that VMs can be launched from.
pub const READY: &str = "ready";
/// The status of a snapshot that could not be made.
pub const ERROR: &str = "error";

/// A saved state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    /// Name, as the user chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organisation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The VM it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_id: Option<String>,
    /// The policy of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<PolicyAnswer>,
    /// Labels of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// An open enumeration: [`CREATING`], [`READY`], [`ERROR`] are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Environment of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    /// Services of the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<ServiceAnswer>>,
}

impl Thing for Snapshot {
    fn id(&mut self) -> &mut String {
        &mut self.id
    }
}

/// Saves the state of a VM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateSnapshotRequest {
    /// The VM to save.
    pub vm_id: String,
    /// Name; the server makes one up if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Renames a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateSnapshotRequest {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
