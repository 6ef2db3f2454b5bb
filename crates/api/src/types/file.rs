//! `POST /v1/vms/{id}/files/presign` and `…/files/fetch`.

use serde::{Deserialize, Serialize};

/// Asks for a staging object; the path only names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FilePresignRequest {
    /// An absolute path in the VM.
    pub path: String,
}

/// Signed URLs of one staging object. Both are secrets, so this type has no `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_debug_implementations,
    reason = "signed URLs must not be printable"
)]
pub struct FilePresignResponse {
    /// Takes the object, by PUT.
    pub upload_url: String,
    /// Gives the object, by GET.
    pub download_url: String,
    /// Life of both URLs, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_sec: Option<i64>,
    /// The largest object that the upload URL takes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_upload_bytes: Option<i64>,
}

/// Makes the VM pull a staged object to a path. Has no `Debug`: the URL is a secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_debug_implementations,
    reason = "signed URLs must not be printable"
)]
pub struct FileFetchRequest {
    /// A `downloadUrl` of the presign call; nothing else is accepted.
    pub url: String,
    /// Absolute target path in the VM.
    pub path: String,
    /// How long the transfer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<i64>,
}
