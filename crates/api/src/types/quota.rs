//! `GET /v1/org/quotas`.

use serde::{Deserialize, Serialize};

/// One number for each counted resource, as the engine counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaValues {
    /// Processors of VMs.
    pub vcpu: i64,
    /// Memory of VMs.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,
    /// Disks of VMs.
    #[serde(rename = "diskGiB")]
    pub disk_gib: i64,
    /// Snapshots.
    #[serde(rename = "snapshotCount")]
    pub snapshot_count: i64,
    /// Volumes, if they are counted.
    #[serde(
        rename = "volumeCount",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub volume_count: Option<i64>,
    /// Size of native volumes, if it is counted.
    #[serde(rename = "volumeGiB", default, skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<i64>,
}

/// What the organisation may use, and what it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaUsage {
    /// The organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// What it may use.
    pub limits: QuotaAnswer,
    /// What it uses.
    pub usage: QuotaAnswer,
}

/// The numbers of an answer: none of them is sure to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaAnswer {
    /// Processors of VMs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpu: Option<i64>,
    /// Memory of VMs.
    #[serde(rename = "memoryMiB", skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<i64>,
    /// Disks of VMs.
    #[serde(rename = "diskGiB", skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// Snapshots.
    #[serde(rename = "snapshotCount", skip_serializing_if = "Option::is_none")]
    pub snapshot_count: Option<i64>,
    /// Volumes.
    #[serde(rename = "volumeCount", skip_serializing_if = "Option::is_none")]
    pub volume_count: Option<i64>,
    /// Size of native volumes.
    #[serde(rename = "volumeGiB", skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<i64>,
}

impl From<QuotaValues> for QuotaAnswer {
    fn from(values: QuotaValues) -> Self {
        Self {
            vcpu: Some(values.vcpu),
            memory_mib: Some(values.memory_mib),
            disk_gib: Some(values.disk_gib),
            snapshot_count: Some(values.snapshot_count),
            volume_count: values.volume_count,
            volume_gib: values.volume_gib,
        }
    }
}
