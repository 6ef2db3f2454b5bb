//! Storage that outlives VMs.

use serde::{Deserialize, Serialize};

use super::record::Thing;

/// A disk of the provider's.
pub const NATIVE: &str = "native";
/// The status of a volume that can be mounted.
pub const READY: &str = "ready";
/// A bucket of the user's.
pub const BYO_OBJECT: &str = "byo-object";

/// A volume.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "super::tolerant::id")]
    pub id: String,
    /// Name, as the user chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organisation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// [`NATIVE`] or [`BYO_OBJECT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// `posix` or `eventual`; the server chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    /// `rw` or `ro`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<String>,
    /// Of a native volume alone.
    #[serde(rename = "sizeGiB")]
    pub size_gib: Option<i64>,
    /// `provisioning`, `ready`, `error` or `deleting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// In how many VMs it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment_count: Option<i32>,
    /// The size that is paid for.
    #[serde(rename = "billableGiB", skip_serializing_if = "Option::is_none")]
    pub billable_gib: Option<i64>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

impl Thing for Volume {
    fn id(&mut self) -> &mut String {
        &mut self.id
    }
}

/// Where a bucket is, and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByoObject {
    /// `gs://bucket/prefix` or `s3://bucket/prefix`.
    pub uri: String,
    /// The id of a stored credential.
    pub credentials_ref: String,
}

/// Makes a volume: a native one needs `size_gib`, a bucket needs `byo_object`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVolumeRequest {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// [`NATIVE`] or [`BYO_OBJECT`].
    pub backend: String,
    /// `rw` or `ro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<String>,
    /// Size of a native volume.
    #[serde(rename = "sizeGiB", default, skip_serializing_if = "Option::is_none")]
    pub size_gib: Option<i64>,
    /// The bucket, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byo_object: Option<ByoObject>,
}

/// A change of a volume: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVolumeRequest {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of another credential, used by VMs launched from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<String>,
}

/// An attachment as seen from its volume. The contract promises no field, so all are optional.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeAttachmentRecord {
    /// The VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_id: Option<String>,
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
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}
