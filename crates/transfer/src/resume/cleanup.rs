//! What a transfer has standing in the VM and at the storage, so that an interrupted one can be tidied up after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::guest::remote::{BlobStore, Guest, StagingObject};
use crate::guest::script;
use crate::progress::Progress;
use crate::resume::journal::Journal;
use crate::resume::staged_objects::empty_all;
use fastvm_api::secret::SignedUrl;

/// How long the other side may take to notice that a connection has ended.
const DISCONNECT_DELAY: Duration = Duration::from_millis(100);

/// The temporary paths a transfer has made in the VM, and its objects at the storage; clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Cleanup {
    standing: Arc<Mutex<Vec<String>>>,
    objects: Arc<Mutex<Vec<(SignedUrl, SignedUrl)>>>,
    journal: Option<Arc<Journal>>,
}

impl Cleanup {
    /// Writes them down as well, so that the next try of the same copy knows of them and of what arrived.
    #[must_use]
    pub fn with_journal(journal: Arc<Journal>) -> Self {
        Self {
            standing: Arc::default(),
            objects: Arc::default(),
            journal: Some(journal),
        }
    }

    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// Paths that may stand in the VM.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn add_object(&self, object: &StagingObject) {
        let urls = (object.upload.clone(), object.download.clone());
        self.urls().push(urls);
    }

    /// Where an object that is not empty was uploaded to.
    pub(crate) fn upload_of(&self, download: &SignedUrl) -> Option<SignedUrl> {
        let urls = self.urls();
        let found = urls
            .iter()
            .find(|(_, known)| known.expose() == download.expose());
        found.map(|(upload, _)| upload.clone())
    }

    /// Where all that are not empty were uploaded to.
    pub(crate) fn objects(&self) -> Vec<SignedUrl> {
        self.urls()
            .iter()
            .map(|(upload, _)| upload.clone())
            .collect()
    }

    pub(crate) fn forget_object(&self, upload: &SignedUrl) {
        self.urls()
            .retain(|(known, _)| known.expose() != upload.expose());
    }

    fn urls(&self) -> MutexGuard<'_, Vec<(SignedUrl, SignedUrl)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, path: &str) {
        if let Some(journal) = &self.journal {
            journal.record_temp(path);
        }
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path.to_owned());
    }

    pub(crate) fn remove(&self, path: &str) {
        if let Some(journal) = &self.journal {
            journal.forget_temp(path);
        }
        self.standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| known != path);
    }
}

/// Removes from the VM what stands there and is not needed any more. What cannot be removed stays on the list, and is warned of.
pub(crate) async fn tidy(
    guest: &impl Guest,
    cleanup: &Cleanup,
    progress: &dyn Progress,
    path: &str,
) {
    match script::remove(guest, &[path.to_owned()]).await {
        Ok(()) => cleanup.remove(path),
        Err(error) => progress.warn(format!("{path} may be left in the VM: {error}")),
    }
}

/// Ends what has a stage in the VM: after a success its script has removed it, after a failure we do.
pub(crate) async fn settle<T>(
    guest: &impl Guest,
    cleanup: &Cleanup,
    progress: &dyn Progress,
    stage: &str,
    result: Result<T, Error>,
) -> Result<T, Error> {
    if result.is_ok() {
        cleanup.remove(stage);
    } else if cleanup.paths().iter().any(|path| path == stage) {
        tidy(guest, cleanup, progress, stage).await;
    }
    result
}

/// Removes from the VM what an earlier try of the same copy left there when it was killed, but for folders that hold parts of a large file:
/// these are answered, and are on the list from now on.
pub(crate) async fn sweep(guest: &impl Guest, cleanup: &Cleanup) -> Result<Vec<String>, Error> {
    let Some(journal) = cleanup.journal() else {
        return Ok(Vec::new());
    };
    let (kept, left): (Vec<_>, Vec<_>) = journal
        .earlier_temps()
        .into_iter()
        .partition(|path| journal.holds_parts(path));
    for path in &kept {
        cleanup.add(path);
    }
    if left.is_empty() {
        return Ok(kept);
    }
    script::remove(guest, &left).await?;
    for path in left {
        cleanup.remove(&path);
    }
    Ok(kept)
}

/// Removes from the VM all that an earlier try of the same copy left there.
pub(crate) async fn sweep_all(
    guest: &impl Guest,
    cleanup: &Cleanup,
    progress: &dyn Progress,
) -> Result<(), Error> {
    sweep(guest, cleanup).await?;
    tidy_earlier(guest, cleanup, progress).await;
    Ok(())
}

/// Removes from the VM what of an earlier try of the same copy still stands there, one by one.
pub(crate) async fn tidy_earlier(guest: &impl Guest, cleanup: &Cleanup, progress: &dyn Progress) {
    let left = cleanup.journal().map(|journal| journal.earlier_temps());
    for path in left.unwrap_or_default() {
        tidy(guest, cleanup, progress, &path).await;
    }
}

/// Removes from the VM and the storage what an interrupted transfer left there. Asks nothing of either when there is nothing.
///
/// # Errors
/// When the VM can't be reached or refuses; [`Cleanup::paths`] still names what is left.
pub async fn clean_up(
    guest: &impl Guest,
    store: &impl BlobStore,
    cleanup: &Cleanup,
) -> Result<(), Error> {
    let removed = remove_all(guest, cleanup).await;
    if !cleanup.objects().is_empty() {
        // An upload that was cut off here ends over there a moment later, and what comes last stays.
        tokio::time::sleep(DISCONNECT_DELAY).await;
        empty_all(store, cleanup).await;
    }
    removed
}

async fn remove_all(guest: &impl Guest, cleanup: &Cleanup) -> Result<(), Error> {
    let paths = cleanup.paths();
    if paths.is_empty() {
        return Ok(());
    }
    script::remove(guest, &paths).await?;
    for path in paths {
        cleanup.remove(&path);
    }
    Ok(())
}
