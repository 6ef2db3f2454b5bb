//! What one server holds: the client of the API, the VMs that it launched, and the calls that run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastvm_api::Client;
use fastvm_api::vms::VmFilter;
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::{self, Calls};
use crate::failure::Failure;
use crate::find::Named;
use crate::{Connect, Ended, LocalWork, Options};

/// The label of the VMs that a server launched: its own random id.
pub(crate) const SESSION: &str = "fastvm.mcp/session";

/// How many commands may be started at once.
const STARTS_AT_ONCE: usize = 4;
/// How long launches whose answer is not there yet may take when the server ends.
const LAUNCH_GRACE: Duration = Duration::from_secs(20);
/// How long other work may take to end.
const WORK_GRACE: Duration = Duration::from_secs(5);

/// A VM that this server launched.
#[derive(Debug)]
pub(crate) struct OwnVm {
    pub(crate) vm: Named,
    /// The name that it was launched with, by which a second launch finds it.
    pub(crate) asked_name: Option<String>,
    /// It stays when the server ends.
    pub(crate) is_kept: bool,
    /// Ends the renewal of its timer.
    pub(crate) gone: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) options: Options,
    /// The server ends.
    pub(crate) closing: CancellationToken,
    pub(crate) calls: Calls,
    connector: mpsc::Sender<Connect>,
    copier: mpsc::UnboundedSender<LocalWork>,
    client: OnceCell<Client>,
    vms: Mutex<Vec<OwnVm>>,
    /// Launches, and what else must not be cut off.
    pub(crate) unbroken: TaskTracker,
    /// How many commands may be started at once: each takes several processes in its VM.
    pub(crate) starts: Semaphore,
    /// A launch was sent.
    pub(crate) has_sent_launch: AtomicBool,
}

impl Session {
    pub(crate) fn new(
        options: Options,
        connector: mpsc::Sender<Connect>,
        copier: mpsc::UnboundedSender<LocalWork>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: uuid::Uuid::new_v4().to_string(),
            options,
            closing: CancellationToken::new(),
            calls: Calls::default(),
            connector,
            copier,
            client: OnceCell::new(),
            vms: Mutex::default(),
            unbroken: TaskTracker::new(),
            starts: Semaphore::new(STARTS_AT_ONCE),
            has_sent_launch: AtomicBool::new(false),
        })
    }

    /// The client of the API. It is made when it is first asked for.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let made = self.client.get_or_try_init(|| async {
            let (answer, client) = oneshot::channel();
            let asked = self.connector.send(answer).await;
            asked.map_err(|_| call::closing())?;
            client.await.map_err(|_| call::closing())?
        });
        made.await.cloned()
    }

    /// Does work that cannot go to another thread. It is not cut off when its caller is, nor when the server ends.
    pub(crate) async fn do_locally<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, done) = oneshot::channel();
        let token = self.unbroken.token();
        let work: LocalWork = Box::new(move || {
            let work = work();
            Box::pin(async move {
                // Who asked may have gone.
                let _ = sender.send(work.await);
                drop(token);
            })
        });
        self.copier.send(work).map_err(|_| call::closing())?;
        done.await.map_err(|_| call::closing())
    }

    /// What a failure of the API is to the agent.
    pub(crate) fn explain(&self, error: fastvm_api::Error) -> Failure {
        (self.options.explain)(error)
    }

    pub(crate) fn vms(&self) -> MutexGuard<'_, Vec<OwnVm>> {
        self.vms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The VMs of this server.
    pub(crate) fn own_vms(&self) -> Vec<Named> {
        self.vms().iter().map(|own| own.vm.clone()).collect()
    }

    /// Forgets a VM that is gone.
    pub(crate) fn forget_vm(&self, id: &str) {
        self.vms().retain(|own| {
            let stays = own.vm.id != id;
            if !stays {
                own.gone.cancel();
            }
            stays
        });
    }

    /// Deletes a VM. One that is gone already is no failure.
    pub(crate) async fn delete_vm(&self, id: &str) -> Result<(), Failure> {
        let client = self.client().await?;
        match client.delete_vm(id).await {
            Err(error) if !error.is_not_found() => Err(self.explain(error)),
            _ => {
                self.forget_vm(id);
                Ok(())
            }
        }
    }

    /// Ends all work and deletes the VMs of this server, but for those that are kept.
    pub(crate) async fn end(&self) -> Ended {
        self.unbroken.close();
        // Each has a limit of its own, but the client of the protocol waits for the end of this process.
        let _ = timeout(WORK_GRACE, self.calls.end()).await;
        let _ = timeout(LAUNCH_GRACE, self.unbroken.wait()).await;
        let mut ended = Ended::default();
        let Some(client) = self.client.get() else {
            return ended;
        };
        let kept: Vec<_> = self
            .vms()
            .iter()
            .filter(|own| own.is_kept)
            .map(|own| own.vm.id.clone())
            .collect();
        let own: Vec<_> = self.vms().iter().map(|own| own.vm.id.clone()).collect();
        let mut ids: Vec<_> = own.into_iter().filter(|id| !kept.contains(id)).collect();
        ids.extend(self.lost(client, &kept, &ids).await);
        let mut deletions = tokio::task::JoinSet::new();
        for id in ids {
            let client = client.clone();
            deletions.spawn(async move {
                let deleted = client.delete_vm(&id).await;
                (id, deleted)
            });
        }
        while let Some(deleted) = deletions.join_next().await {
            match deleted {
                Ok((id, Err(error))) if !error.is_not_found() => {
                    ended.left.push((id, error.to_string()));
                }
                Ok((id, _)) => self.forget_vm(&id),
                Err(_) => {}
            }
        }
        ended
    }

    /// VMs of launches whose answers never came.
    async fn lost(&self, client: &Client, kept: &[String], known: &[String]) -> Vec<String> {
        if !self.has_sent_launch.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let filter = VmFilter {
            status: None,
            metadata: vec![(SESSION.to_owned(), self.id.clone())],
        };
        let Ok(vms) = client.list_vms(&filter).await else {
            return Vec::new();
        };
        let lost = vms.into_iter().filter(|vm| {
            let labels = vm.value.metadata.as_ref();
            labels.is_some_and(|labels| labels.get(SESSION) == Some(&self.id))
                // One that is to be kept says so.
                && !labels.is_some_and(|labels| labels.contains_key(crate::launch::KEEP))
                && !kept.contains(&vm.value.id)
                && !known.contains(&vm.value.id)
        });
        lost.map(|vm| vm.value.id).collect()
    }
}
