//! The objects that a copy has at the storage, which are emptied when their bytes are not needed any more.
//!
//! A service keeps an object for a day, and the API has no way to delete one. But whoever has the URL of an upload may upload again, and
//! an upload of nothing takes the place of what was there.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::RemoteError;
use crate::format::channel::ByteStream;
use crate::guest::remote::{BlobStore, Body, StagingObject};
use crate::resume::cleanup::Cleanup;
use fastvm_api::secret::SignedUrl;

/// How long one may take: an object that cannot be emptied goes with its day.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(3);
/// How many are emptied at once.
const MOST_EMPTIED_AT_ONCE: usize = 8;

/// A storage that knows which objects it has given out.
#[derive(Debug)]
pub(crate) struct StagedObjects<'a, S> {
    store: &'a S,
    cleanup: Cleanup,
    /// Asked for before it was needed.
    ahead: std::sync::Mutex<Option<StagingObject>>,
    spent: UnboundedSender<SignedUrl>,
    queue: Mutex<UnboundedReceiver<SignedUrl>>,
}

impl<'a, S: BlobStore> StagedObjects<'a, S> {
    pub(crate) fn new(store: &'a S, cleanup: &Cleanup) -> Self {
        let (spent, queue) = unbounded_channel();
        Self {
            store,
            cleanup: cleanup.clone(),
            ahead: std::sync::Mutex::default(),
            spent,
            queue: Mutex::new(queue),
        }
    }

    /// Asks for the first object beside other questions. Why there is none, whoever needs it is told.
    pub(crate) async fn presign_early(&self, name: &str) {
        if let Ok(object) = self.store.presign(name).await {
            *self.ahead() = Some(object);
        }
    }

    fn ahead(&self) -> MutexGuard<'_, Option<StagingObject>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object whose bytes have arrived, or never will.
    pub(crate) fn mark_done(&self, download: &SignedUrl) {
        if let Some(upload) = self.cleanup.upload_of(download) {
            // The other end lives as long as this one.
            let _ = self.spent.send(upload);
        }
    }

    /// Does the work and empties objects beside it, as soon as they are spent, and the rest at its end.
    pub(crate) async fn emptying_during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut queue = self.queue.lock().await;
        let spent = stream::poll_fn(|context| queue.poll_recv(context));
        let emptying = async {
            spent
                .for_each_concurrent(MOST_EMPTIED_AT_ONCE, |upload| self.empty(upload))
                .await;
            pending::<Infallible>().await
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            never = emptying => match never {},
        };
        empty_all(self.store, &self.cleanup).await;
        outcome
    }

    async fn empty(&self, upload: SignedUrl) {
        empty(self.store, &upload).await;
        self.cleanup.forget_object(&upload);
    }
}

/// Empties all objects that are not.
pub(crate) async fn empty_all(store: &impl BlobStore, cleanup: &Cleanup) {
    let emptied = stream::iter(cleanup.objects()).for_each_concurrent(
        MOST_EMPTIED_AT_ONCE,
        |upload| async move {
            empty(store, &upload).await;
            cleanup.forget_object(&upload);
        },
    );
    // One that does not answer has had its time, and then so have all.
    let _ = tokio::time::timeout(EMPTY_TIMEOUT, emptied).await;
}

async fn empty(store: &impl BlobStore, upload: &SignedUrl) {
    let nothing = Body {
        bytes: Box::pin(stream::empty()),
        length: Some(0),
    };
    let _ = tokio::time::timeout(EMPTY_TIMEOUT, store.put(upload, nothing)).await;
}

impl<S: BlobStore> BlobStore for StagedObjects<'_, S> {
    async fn presign(&self, name: &str) -> Result<StagingObject, RemoteError> {
        let asked = self.ahead().take();
        let object = match asked {
            Some(object) => object,
            None => self.store.presign(name).await?,
        };
        self.cleanup.add_object(&object);
        Ok(object)
    }

    async fn put(&self, url: &SignedUrl, body: Body) -> Result<(), RemoteError> {
        self.store.put(url, body).await
    }

    async fn get(
        &self,
        url: &SignedUrl,
        from: u64,
    ) -> Result<ByteStream<RemoteError>, RemoteError> {
        self.store.get(url, from).await
    }
}
