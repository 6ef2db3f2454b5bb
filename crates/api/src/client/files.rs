//! Calls that move files through staging objects.

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::secret::SignedUrl;
use crate::types::Record;
use crate::types::exec::ExecResponse;
use crate::types::file::{FileFetchRequest, FilePresignRequest, FilePresignResponse};

impl Client {
    /// Signed URLs of a new staging object. The path only names it.
    pub async fn presign(&self, vm: &str, path: &str) -> Result<FilePresignResponse, Error> {
        Ok(self.presign_as_sent(vm, path).await?.value)
    }

    /// As [`Client::presign`], with the answer's own text.
    pub async fn presign_as_sent(
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

    /// Makes the VM pull a staged object to a path. A non-zero exit code in the answer is a failed transfer.
    pub async fn fetch(
        &self,
        vm: &str,
        url: &SignedUrl,
        path: &str,
        seconds: i64,
    ) -> Result<ExecResponse, Error> {
        Ok(self.fetch_as_sent(vm, url, path, seconds).await?.value)
    }

    /// As [`Client::fetch`], with the answer's own text.
    pub async fn fetch_as_sent(
        &self,
        vm: &str,
        url: &SignedUrl,
        path: &str,
        seconds: i64,
    ) -> Result<Record<ExecResponse>, Error> {
        let body = FileFetchRequest {
            url: url.expose().to_owned(),
            path: path.to_owned(),
            timeout_sec: Some(seconds),
        };
        let request = Request::post(["v1", "vms", vm, "files", "fetch"])
            .once()
            .json(&body)?;
        self.long_object(&request).await
    }
}
