//! Calls about builds.

use bytes::Bytes;
use futures_util::Stream;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::secret::SignedUrl;
use crate::types::Record;
use crate::types::build::{Build, CONTEXT_TYPE, CreateBuildRequest};
use crate::types::file::FilePresignResponse;

impl Client {
    /// Starts a build, once. It runs in the background: [`Client::wait_for_build`] waits for its end.
    ///
    /// # Errors
    /// The request is not valid, a quota is used up, or a failure of the request.
    pub async fn create_build(&self, create: &CreateBuildRequest) -> Result<Record<Build>, Error> {
        self.created(Request::post(["v1", "builds"]).once().json(create)?)
            .await
    }

    /// Returns a build.
    ///
    /// # Errors
    /// The build is not there, or a failure of the request.
    pub async fn get_build(&self, id: &str) -> Result<Record<Build>, Error> {
        self.thing(id, Request::get(["v1", "builds", id])).await
    }

    /// Makes a staging object for a build context, and returns its signed URLs.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn presign_build_context(&self) -> Result<Record<FilePresignResponse>, Error> {
        let request = Request::post(["v1", "build-contexts", "presign"]).once();
        self.presigned(request).await
    }

    /// Uploads a build context, a `tar.gz` of unknown length.
    ///
    /// # Errors
    /// As [`Client::put_object`].
    pub async fn put_build_context<E>(
        &self,
        url: &SignedUrl,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.put_typed(url, CONTEXT_TYPE, body, None).await
    }
}
