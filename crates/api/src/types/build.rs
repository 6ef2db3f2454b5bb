//! Snapshots made from container images or Dockerfiles.

use serde::{Deserialize, Serialize};

use super::record::Thing;

/// It ended well: `snapshot_id` names a ready snapshot.
pub const COMPLETED: &str = "completed";
/// It ended badly: `error` says why.
pub const FAILED: &str = "failed";

/// The media type that the upload of a build context is signed for.
pub const CONTEXT_TYPE: &str = "application/gzip";

/// A build.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Build {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Empty where only a Dockerfile was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// An open enumeration: `pending`, `running`, [`COMPLETED`] and [`FAILED`] are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Name of the snapshot that it makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The present phase in words; gone once the build ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The snapshot that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Thing for Build {
    fn id(&mut self) -> &mut String {
        &mut self.id
    }
}

/// Starts a build of an image, a Dockerfile, or both. Has no `Debug`: the URL of the context is signed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_debug_implementations,
    reason = "signed URLs must not be printable"
)]
pub struct CreateBuildRequest {
    /// The image, as a registry names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ref: Option<String>,
    /// The text of a Dockerfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_content: Option<String>,
    /// The `downloadUrl` of an uploaded context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_download_url: Option<String>,
    /// The machine that builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Size of the snapshot's disk.
    #[serde(rename = "diskGiB", default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<i64>,
    /// Name of the snapshot; the build's id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
