//! Saved states of VMs.

use serde::{Deserialize, Serialize};

use super::firewall::FirewallPolicy;
use super::service::CapturedService;
use super::{EnvVars, Metadata};

pub const CREATING: &str = "creating";
pub const READY: &str = "ready";
pub const ERROR: &str = "error";

/// A saved state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub id: String,
    pub name: String,
    pub org_id: String,
    /// The VM it was made from.
    pub vm_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// An open enumeration: [`CREATING`], [`READY`], [`ERROR`] are known.
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<CapturedService>>,
}

/// Saves the state of a VM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateSnapshotRequest {
    pub vm_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Renames a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateSnapshotRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
