//! Builds: contexts can be uploaded, but there is no builder here to use them.

use super::files::Staged;
use super::{Core, Error};
use fastvm_api::types::build::{Build, CONTEXT_TYPE, CreateBuildRequest};
use fastvm_api::types::file::FilePresignResponse;

/// The largest build context, in bytes.
const LARGEST_CONTEXT: i64 = 10 << 30;

impl Core {
    /// Refuses a build in words.
    pub(crate) fn create_build(&self, request: &CreateBuildRequest) -> Result<Build, Error> {
        if request.image_ref.is_none() && request.dockerfile_content.is_none() {
            return Err(Error::Invalid(
                "nothing to build: give imageRef or dockerfileContent".to_owned(),
            ));
        }
        Err(Error::Unsupported(
            "the local engine has no builder: it makes no snapshots of images or Dockerfiles; \
             launch a vm, set it up with exec and make a snapshot of it"
                .to_owned(),
        ))
    }

    /// No build was ever made.
    pub(crate) fn get_build(&self, id: &str) -> Result<Build, Error> {
        Err(Error::NotFound {
            kind: "build",
            id: id.to_owned(),
        })
    }

    /// Makes a staging object for a build context and signs its URLs.
    pub(crate) fn presign_context(&self) -> Result<FilePresignResponse, Error> {
        self.stage(Staged {
            vm_id: String::new(),
            content_type: CONTEXT_TYPE,
            max_bytes: LARGEST_CONTEXT,
        })
    }
}
