//! Calls that move files through staging objects.

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::secret::SignedUrl;
use crate::types::Record;
use crate::types::exec::ExecResponse;
use crate::types::file::{FileFetchRequest, FilePresignRequest, FilePresignResponse};

impl Client {
    /// Makes a staging object, and returns its signed URLs. The path only names it.
    ///
    /// # Errors
    /// The VM is not there, or a failure of the request.
    pub async fn presign(
        &self,
        vm: &str,
        path: &str,
    ) -> Result<Record<FilePresignResponse>, Error> {
        let body = FilePresignRequest {
            path: path.to_owned(),
        };
        let request = Request::post(["v1", "vms", vm, "files", "presign"])
            .once()
            .json(&body)?;
        self.presigned(request).await
    }

    /// Sends a request for signed URLs, of which neither can be missing.
    pub(super) async fn presigned(
        &self,
        request: Request,
    ) -> Result<Record<FilePresignResponse>, Error> {
        let what = request.what();
        let record = self.object::<FilePresignResponse>(request).await?;
        for (name, url) in [
            ("uploadUrl", &record.value.upload_url),
            ("downloadUrl", &record.value.download_url),
        ] {
            if url.is_empty() {
                return Err(self.unexpected(&what, &format!("it has no {name}")));
            }
        }
        Ok(record)
    }

    /// Makes the VM pull a staged object to an absolute path, and returns how that ended.
    ///
    /// A non-zero exit code in the answer is a failed transfer.
    ///
    /// # Errors
    /// The VM is not there or does not run, or a failure of the request.
    pub async fn fetch(
        &self,
        vm: &str,
        url: &SignedUrl,
        path: &str,
        timeout_sec: i64,
    ) -> Result<Record<ExecResponse>, Error> {
        let body = FileFetchRequest {
            url: url.expose().to_owned(),
            path: path.to_owned(),
            timeout_sec: Some(timeout_sec),
        };
        let request = Request::post(["v1", "vms", vm, "files", "fetch"])
            .once()
            .json(&body)?;
        self.long_object(&request).await
    }
}
