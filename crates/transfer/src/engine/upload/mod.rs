//! From this machine into a VM.

mod file;
mod large_file;
mod parts;
mod plan;
mod questions;
mod resumed;
mod stream;
mod tree;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[cfg(unix)]
use crate::disk::folder::{self, Folder};
use crate::disk::tree::{Position, Roots};
use crate::engine::request::{RemotePath, Settings, UploadRequest, UploadSource};
use crate::engine::send::Encoding;
use crate::error::Error;
use crate::format::codec::{Codec, threads};
use crate::guest::guest_path;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Object, Place};
use crate::progress::Progress;
use crate::resume::cleanup::{settle, sweep, tidy_earlier};
use crate::resume::staged_objects::StagedObjects;
use crate::summary::Summary;
use fastvm_api::secret::SignedUrl;

/// Copies local files and folders, or a stream, into a VM.
///
/// # Errors
/// See [`Error`]. What stands at the destination is then wholly old or wholly new, path by path, and what was made beside it is removed.
pub async fn upload(
    guest: &impl Guest,
    store: &impl BlobStore,
    progress: Arc<dyn Progress>,
    request: UploadRequest,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let UploadRequest {
        source,
        target,
        settings,
    } = request;
    let store = StagedObjects::new(store, &settings.cleanup);
    let watch = progress.clone();
    let job = Upload {
        guest,
        store: &store,
        progress,
        settings: &settings,
        nonce: crate::nonce(),
    };
    let kept = sweep(guest, &settings.cleanup).await?;
    let sending = async {
        match source {
            UploadSource::Stream(input) => job.stream(input, &target).await,
            UploadSource::Paths(paths) => job.paths(paths, &target).await,
            #[cfg(unix)]
            UploadSource::Held { handle, shown } => job.held(handle, shown, &target).await,
        }
    };
    let sent = store.emptying_during(sending).await;
    // Where its own folder could not be removed, the VM can't be reached, and the next try may use these.
    if settings.cleanup.paths().len() == kept.len() {
        tidy_earlier(guest, &settings.cleanup, &*watch).await;
    }
    let mut summary = sent?;
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// One upload, or the far end of a relay.
pub(crate) struct Upload<'a, G, S> {
    pub(crate) guest: &'a G,
    pub(crate) store: &'a StagedObjects<'a, S>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) settings: &'a Settings,
    pub(crate) nonce: String,
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    async fn paths(&self, paths: Vec<PathBuf>, target: &RemotePath) -> Result<Summary, Error> {
        let position = match paths.as_slice() {
            [] => {
                return Err(Error::Argument {
                    argument: String::new(),
                    reason: "nothing to copy".to_owned(),
                });
            }
            [path] => match file::Opened::open(path, target.into)? {
                Some(file) => return self.file(file, target).await,
                None if !target.into => Position::Is,
                None => Position::Into,
            },
            _ => Position::Into,
        };
        self.tree(Roots::Paths(paths), position, &target.path).await
    }

    /// What is open already: a file, or a folder with all below it.
    #[cfg(unix)]
    async fn held(
        &self,
        handle: std::fs::File,
        shown: PathBuf,
        target: &RemotePath,
    ) -> Result<Summary, Error> {
        let meta = Folder::file_meta(&handle);
        let meta = meta.map_err(|error| Error::local("look at", &shown, error))?;
        if meta.kind != folder::Kind::Folder {
            let file = file::Opened::of(handle, meta, shown)?;
            return self.file(file, target).await;
        }
        let position = if target.into {
            Position::Into
        } else {
            Position::Is
        };
        let roots = Roots::Folder(Folder::of(handle), shown);
        self.tree(roots, position, &target.path).await
    }

    /// What objects of this transfer are called at the storage.
    pub(crate) fn object_name(&self, name: impl fmt::Display) -> String {
        format!("/tmp/.fastvm-{}/{name}", self.nonce)
    }

    fn encoding(&self, codec: Codec) -> Encoding {
        Encoding {
            codec,
            rate_limit: self.settings.rate_limit.clone(),
            threads: threads(1),
        }
    }

    /// The private folder beside a file, or in a folder that is there.
    pub(crate) fn stage(&self, folder: &str) -> String {
        stage(folder, &self.nonce)
    }

    /// Where the VM finds an object for a stage that is made for the first of them.
    pub(crate) async fn hand_over(
        &self,
        place: &Place,
        stage: &str,
        number: usize,
        url: &SignedUrl,
    ) -> Result<Object, Error> {
        if number == 0 && !place.tools.has("curl") {
            script::prepare(self.guest, stage).await?;
        }
        self.object(place, stage, &number.to_string(), url).await
    }

    /// Where the VM finds an object: it gets it itself, or, without curl, the service puts it into the stage first.
    pub(crate) async fn object(
        &self,
        place: &Place,
        stage: &str,
        name: &str,
        url: &SignedUrl,
    ) -> Result<Object, Error> {
        if place.tools.has("curl") {
            return Ok(Object::Url(url.clone()));
        }
        let path = format!("{stage}/object-{name}");
        // The service takes the path as text.
        if !guest_path::is_plain(&path) {
            return Err(Error::GuestTool("curl"));
        }
        let output = self.guest.fetch(url, &path).await?;
        script::check(output, "fetch the staged object", &place.path)?;
        Ok(Object::File(path))
    }

    /// Ends what has a stage in the VM: after a failure it is removed, and if that fails too, named.
    pub(crate) async fn settle<T>(
        &self,
        stage: &str,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        let cleanup = &self.settings.cleanup;
        settle(self.guest, cleanup, &*self.progress, stage, result).await
    }

    pub(crate) fn check_space(&self, place: &Place, needed: u64) -> Result<(), Error> {
        // What came before stands there already.
        let journal = self.settings.cleanup.journal();
        let kept = journal.map_or(0, |journal| journal.arrived_bytes());
        let needed = needed.saturating_sub(kept);
        match place.free_bytes {
            Some(free) if free < needed => Err(Error::NoSpace {
                place: format!("{} in the VM", place.path),
                detail: format!("{needed} bytes needed, {free} free"),
            }),
            _ => Ok(()),
        }
    }
}

/// The private folder of one try. A script of an earlier one may still be at work, and removes its own at its end.
pub(crate) fn stage(folder: &str, nonce: &str) -> String {
    format!("{}/.fastvm-{nonce}", folder.trim_end_matches('/'))
}

/// The folder that a path lies in; both absolute.
pub(crate) fn parent_of(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => parent,
        _ => "/",
    }
}
