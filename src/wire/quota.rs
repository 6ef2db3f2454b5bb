//! `GET /v1/org/quotas`.

use serde::{Deserialize, Serialize};

/// One number for each counted resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaValues {
    pub vcpu: i64,
    #[serde(rename = "memoryMiB")]
    pub memory_mib: i64,
    #[serde(rename = "diskGiB")]
    pub disk_gib: i64,
    #[serde(rename = "snapshotCount")]
    pub snapshot_count: i64,
    #[serde(
        rename = "volumeCount",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub volume_count: Option<i64>,
    #[serde(rename = "volumeGiB", default, skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<i64>,
}

/// What the organisation may use, and what it uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUsage {
    pub org_id: String,
    pub limits: QuotaValues,
    pub usage: QuotaValues,
}
