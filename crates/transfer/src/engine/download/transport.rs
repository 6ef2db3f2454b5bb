//! How an object comes out of a VM: by the storage, or in pieces where the VM has no curl.

use super::Download;
use crate::engine::rate_limit::RateLimit;
use crate::engine::receive::{From, Ready};
use crate::error::{Error, RemoteClass};
use crate::format::codec::Codec;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{Made, SendTo, Tools};
use crate::resume::cleanup::tidy;
use fastvm_api::secret::SignedUrl;

/// What an object holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchiveKind {
    /// The bytes of a file, whose checksum the VM can tell afterwards.
    File,
    /// An archive that would not be the same a second time.
    Tree,
}

/// One object on its way.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) way: SendTo,
    pub(super) codec: Codec,
    rate_limit: RateLimit,
    download: Option<SignedUrl>,
    stage: Option<String>,
}

impl Transport {
    /// Where the object is, once the VM has made it.
    pub(super) fn ready<'a>(&'a self, made: &Made, path: &'a str) -> Result<Ready<'a>, Error> {
        let from = match (&self.download, &self.stage, made.size) {
            (Some(url), ..) => From::Storage(url),
            (None, Some(stage), Some(size)) => From::Stage(stage, size),
            _ => {
                return Err(Error::integrity(
                    path,
                    "the VM does not say how large the archive is",
                ));
            }
        };
        Ok(Ready {
            from,
            codec: self.codec,
            sum: made.sum,
            rate_limit: self.rate_limit.clone(),
            path,
        })
    }
}

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    /// Has an object made and takes it in; again where the VM could not send it, or it is unknown whether it did, for then nothing of it
    /// was taken.
    pub(super) async fn take_object<T>(
        &self,
        (tools, codec): (&Tools, Codec),
        kind: ArchiveKind,
        mut take: impl AsyncFnMut(&Transport) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut retries = Retries::default();
        loop {
            let transport = self.request_object(tools, codec, kind).await?;
            let taken = take(&transport).await;
            self.release(transport).await;
            match taken {
                Err(error) if nothing_was_sent(&error) => retries.again(error).await?,
                taken => return taken,
            }
        }
    }

    /// Prepares the way for one object.
    pub(super) async fn request_object(
        &self,
        tools: &Tools,
        codec: Codec,
        kind: ArchiveKind,
    ) -> Result<Transport, Error> {
        let stage = || {
            let stage = format!("/tmp/.fastvm-{}", crate::nonce());
            self.settings.cleanup.add(&stage);
            stage
        };
        if !tools.has("curl") {
            tools.need(&["dd"])?;
            let stage = stage();
            return Ok(Transport {
                way: SendTo::Kept(stage.clone()),
                codec,
                rate_limit: self.settings.rate_limit.clone(),
                download: None,
                stage: Some(stage),
            });
        }
        let object = self.store.presign(&self.object_name()).await?;
        let download = Some(object.download);
        if codec == Codec::None && kind == ArchiveKind::Tree {
            let stage = stage();
            return Ok(Transport {
                way: SendTo::Staged(object.upload, stage.clone()),
                codec,
                rate_limit: self.settings.rate_limit.clone(),
                download,
                stage: Some(stage),
            });
        }
        Ok(Transport {
            way: SendTo::Direct(object.upload),
            codec,
            rate_limit: self.settings.rate_limit.clone(),
            download,
            stage: None,
        })
    }

    /// Removes what the object needed in the VM and at the storage, however it went.
    pub(super) async fn release(&self, transport: Transport) {
        if let Some(url) = &transport.download {
            self.store.mark_done(url);
        }
        let Some(stage) = transport.stage else { return };
        let cleanup = &self.settings.cleanup;
        tidy(self.guest, cleanup, &*self.progress, &stage).await;
    }
}

/// Only a command in the VM fails like this; receiving does not.
fn nothing_was_sent(error: &Error) -> bool {
    match error {
        Error::Guest { .. } => true,
        Error::Remote(error) => error.class() == RemoteClass::Lost,
        _ => false,
    }
}
