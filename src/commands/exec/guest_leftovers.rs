//! What is put into VMs and at the storage for a command and must not stay there: on a list before it is made, off it once it is gone.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::staged_input::best_effort;
use crate::error::{Error, Kind};
use crate::output::Messages;
use crate::output::control::visible;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_api::secret::SignedUrl;
use fastvm_stream::Control;

/// How long a VM may take to finish what it was asked, and again to remove what it left.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The folders in VMs that are there, or may be, and the objects at the storage.
#[derive(Debug, Default)]
pub(crate) struct GuestLeftovers {
    folders: RefCell<Vec<Rc<Folder>>>,
    /// Where they were uploaded to.
    objects: RefCell<Vec<SignedUrl>>,
    /// Streams to commands that run, or may.
    streams: RefCell<Vec<Control>>,
}

/// A private folder in a VM. The wrapper of the command removes it before the command starts.
#[derive(Debug)]
pub(crate) struct Folder {
    vm: String,
    path: String,
    /// Held while a request may still make something of it.
    busy: Arc<Mutex<()>>,
}

impl Folder {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Carries a request to its end even where nobody waits for that any more: one that is cut off may come to work
    /// after the removal.
    pub(super) async fn unbroken<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let held = self.busy.clone().lock_owned().await;
        let task = tokio::spawn(async move {
            let outcome = request.await;
            drop(held);
            outcome
        });
        match task.await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::new(Kind::LocalIo, error.to_string())),
        }
    }

    /// Removes it once no request makes anything of it.
    async fn remove(&self, client: &Client) -> bool {
        let idle = timeout(CLEANUP_TIMEOUT, self.busy.lock()).await.is_ok();
        let command = ["rm", "-rf", "--", &self.path];
        let removing = best_effort(client, &self.vm, &command);
        let removed = matches!(timeout(CLEANUP_TIMEOUT, removing).await, Ok(Ok(())));
        idle && removed
    }
}

/// Takes the bytes of an object away, as far as the API lets us: an upload of nothing replaces it. After a day it goes by itself.
async fn empty(client: &Client, upload: &SignedUrl) {
    let nothing = futures_util::stream::empty::<std::io::Result<bytes::Bytes>>();
    let _ = timeout(CLEANUP_TIMEOUT, client.put_object(upload, nothing, Some(0))).await;
}

impl GuestLeftovers {
    /// Puts a folder that is to be made on the list.
    pub(super) fn note(&self, vm: &str) -> Rc<Folder> {
        let folder = Rc::new(Folder {
            vm: vm.to_owned(),
            path: format!("/tmp/.fastvm-stdin-{}", Uuid::new_v4().simple()),
            busy: Arc::default(),
        });
        self.folders.borrow_mut().push(folder.clone());
        folder
    }

    /// Takes a folder off the list that is surely gone.
    pub(super) fn is_gone(&self, folder: &Folder) {
        self.folders
            .borrow_mut()
            .retain(|one| one.path != folder.path);
    }

    /// Puts an object that is to be made on the list.
    pub(super) fn note_object(&self, upload: &SignedUrl) {
        self.objects.borrow_mut().push(upload.clone());
    }

    /// Puts a stream on the list that is to be opened.
    pub(super) fn note_stream(&self, control: &Control) {
        self.streams.borrow_mut().push(control.clone());
    }

    /// Takes the streams off the list: their commands have ended and left nothing.
    pub(super) fn streams_are_over(&self) {
        self.streams.borrow_mut().clear();
    }

    /// Removes all that is on the list. What cannot be removed, or not before a signal, is named with the command that
    /// does it.
    pub(crate) async fn sweep(&self, client: &Client, signals: &mut Signals, messages: &Messages) {
        let folders = self.folders.borrow().clone();
        let objects = self.objects.take();
        let streams = self.streams.take();
        if folders.is_empty() && objects.is_empty() && streams.is_empty() {
            return;
        }
        let stopping = streams.iter().map(async |stream| {
            let stopped = timeout(CLEANUP_TIMEOUT, stream.stop()).await;
            if !matches!(stopped, Ok(Ok(()))) {
                messages.warn("the command may still run in the VM; it is ended there within 90s");
            }
        });
        let removing = folders.iter().map(async |folder| {
            if folder.remove(client).await {
                self.is_gone(folder);
            }
        });
        let emptying = objects.iter().map(|object| empty(client, object));
        tokio::select! {
            _ = async { tokio::join!(join_all(stopping), join_all(removing), join_all(emptying)) } => {}
            _ = signals.next() => {}
        }
        for folder in self.folders.take() {
            messages.warn(&format!(
                "the command's input may still be in the VM; remove it with `fastvm exec {} -- rm -rf {}`",
                visible(&folder.vm),
                folder.path
            ));
        }
    }
}
