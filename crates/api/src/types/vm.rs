//! VMs.

use serde::{Deserialize, Deserializer, Serialize};

use super::firewall::{FirewallPolicy, PolicyAnswer};
use super::record::Thing;
use super::service::ServiceAnswer;
use super::{EnvVars, Metadata};

/// Known values of a VM's `status`, an open enumeration.
pub mod status {
    pub const PROVISIONING: &str = "provisioning";
    pub const RUNNING: &str = "running";
    pub const STOPPED: &str = "stopped";
    pub const PAUSING: &str = "pausing";
    pub const PAUSED: &str = "paused";
    pub const RESUMING: &str = "resuming";
    pub const DELETING: &str = "deleting";
    pub const ERROR: &str = "error";

    /// All that the contract names.
    pub const KNOWN: &[&str] = &[
        PROVISIONING,
        RUNNING,
        STOPPED,
        PAUSING,
        PAUSED,
        RESUMING,
        DELETING,
        ERROR,
    ];
}

/// The longest cycle of a timer, in seconds: a year.
pub const LONGEST_TTL: i64 = 31_536_000;

/// A timer that pauses or deletes its VM. It counts only while the VM runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttl {
    /// `pause` or `delete`.
    pub action: String,
    /// Length of a full cycle, 1 to [`LONGEST_TTL`].
    pub seconds: i64,
}

/// A VM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Vm {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_name: Option<String>,
    /// The snapshot or image that it came from; empty after a fresh boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// The policy that the user set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firewall: Option<PolicyAnswer>,
    /// The policy with one rule for each service added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_firewall: Option<PolicyAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeAttachment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    #[serde(rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<i64>,
    #[serde(rename = "diskGiB", skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// An open enumeration, see [`status`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// Unix time in milliseconds at which the TTL acts. Only while running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// Milliseconds left in the cycle. Only while paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_remaining_ms: Option<i64>,
    /// Set after a restore whose services could not be registered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_restore_warnings: Option<SnapshotRestoreWarnings>,
}

impl Thing for Vm {
    fn id(&mut self) -> &mut String {
        &mut self.id
    }
}

impl Vm {
    /// Returns whether the VM has a status, by its name in the contract.
    pub fn has_status(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }
}

/// What a restore could not bring back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotRestoreWarnings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services_registration_failed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unregistered_services: Option<Vec<ServiceAnswer>>,
}

/// A volume as seen from its VM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeAttachment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// `pending`, `mounted`, `failed`, `unmounted` or `rotationRequired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_required: Option<bool>,
}

/// A volume to mount at launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    pub volume_id: String,
    /// Absolute path in the VM.
    pub mount_path: String,
    #[serde(default)]
    pub read_only: bool,
}

/// Boots a VM of a machine type, or restores one from a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeMount>>,
}

impl LaunchRequest {
    /// Returns a request to boot a VM of a machine type, such as `c1m2`.
    pub fn of_type(machine_type: impl Into<String>) -> Self {
        Self {
            machine_type: Some(machine_type.into()),
            ..Self::default()
        }
    }

    /// Returns a request to restore a VM from a snapshot.
    pub fn of_snapshot(id: impl Into<String>) -> Self {
        Self {
            snapshot_id: Some(id.into()),
            ..Self::default()
        }
    }
}

/// A change of a VM: what is absent stays. `ttl` tells apart absent and null.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateVmRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// `Some(None)` removes the timer.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub ttl: Option<Option<Ttl>>,
}

/// Reads a field that is there, null included, as `Some`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Ttl>>, D::Error> {
    Option::<Ttl>::deserialize(deserializer).map(Some)
}
