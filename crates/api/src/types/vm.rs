//! VMs.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::firewall::{FirewallPolicy, PolicyAnswer};
use super::record::Thing;
use super::service::ServiceAnswer;
use super::{EnvVars, Metadata};

/// Known values of a VM's `status`, an open enumeration.
pub mod status {
    /// It is being made, or waits for a place.
    pub const PROVISIONING: &str = "provisioning";
    /// It runs.
    pub const RUNNING: &str = "running";
    /// It was stopped.
    pub const STOPPED: &str = "stopped";
    /// Its state is being saved.
    pub const PAUSING: &str = "pausing";
    /// Its state is saved, and uses no quota of processors and memory.
    pub const PAUSED: &str = "paused";
    /// Its state is being restored.
    pub const RESUMING: &str = "resuming";
    /// It is being deleted.
    pub const DELETING: &str = "deleting";
    /// It could not be made, or is broken.
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

impl Ttl {
    /// Returns a timer that deletes its VM after so long, in whole seconds.
    pub fn delete_after(length: Duration) -> Self {
        Self {
            action: "delete".to_owned(),
            seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        }
    }
}

/// A VM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Vm {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    /// Name, as the user chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organisation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The machine as the server labels it: its type.
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
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Environment of its commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    /// The volumes that are mounted in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<VolumeAttachment>>,
    /// Address in the public network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ipv6: Option<String>,
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// Memory.
    #[serde(rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<i64>,
    /// Size of the disk.
    #[serde(rename = "diskGiB", skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// An open enumeration, see [`status`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339. Only of a deleted VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    /// RFC 3339. Only while paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<String>,
    /// The timer, if it has one.
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
    /// Services could not be registered again: always true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services_registration_failed: Option<bool>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The services that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unregistered_services: Option<Vec<ServiceAnswer>>,
}

/// A volume as seen from its VM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeAttachment {
    /// The volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
    /// Absolute path in the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_path: Option<String>,
    /// The VM cannot write to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// `pending`, `mounted`, `failed`, `unmounted` or `rotationRequired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_status: Option<String>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// The VM still uses older credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_required: Option<bool>,
}

/// A volume to mount at launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// The volume.
    pub volume_id: String,
    /// Absolute path in the VM.
    pub mount_path: String,
    /// The VM cannot write to it.
    #[serde(default)]
    pub read_only: bool,
}

/// Boots a VM of a machine type, or restores one from a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchRequest {
    /// The machine type, such as `c1m2`, unless there is a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// The snapshot to restore from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What may come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall: Option<FirewallPolicy>,
    /// Environment of its commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<EnvVars>,
    /// Size of the disk.
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// The timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The volumes to mount.
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
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// All labels.
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
