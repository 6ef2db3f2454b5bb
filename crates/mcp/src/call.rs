//! Calls that may take longer than a client waits: each is work of its own, which the same call joins.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastvm_jobs::JobId;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::find::Named;
use crate::session::Session;

/// How often a client hears that its call goes on.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How long such a word may take to be written.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(1);
/// How many calls that take long are worked on at once, and how many short ones. The others wait.
const LONG_AT_ONCE: usize = 256;
const SHORT_AT_ONCE: usize = 32;
/// How many answers are kept that nobody has fetched, or that have a key.
const KEPT_ANSWERS: usize = 256;

/// What a call is doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    /// In words.
    pub(crate) doing: String,
    /// The VM, once there is one.
    pub(crate) vm: Option<Named>,
    /// The job in it, once it was sent there.
    pub(crate) job: Option<JobId>,
    outcome: Option<Result<Answer, Failure>>,
}

/// Work that calls wait for.
#[derive(Debug)]
pub(crate) struct Call {
    stage: watch::Sender<Stage>,
    /// Nobody wants it any more.
    pub(crate) cancelled: CancellationToken,
    waiting: AtomicUsize,
    began: Instant,
    /// It has a key, and is never done again.
    has_key: bool,
}

impl Call {
    fn new(has_key: bool) -> Self {
        Self {
            stage: watch::Sender::new(Stage::default()),
            cancelled: CancellationToken::new(),
            waiting: AtomicUsize::new(0),
            began: Instant::now(),
            has_key,
        }
    }

    /// Tells those who wait what is being done.
    pub(crate) fn tell(&self, doing: &str) {
        self.stage
            .send_modify(|stage| doing.clone_into(&mut stage.doing));
    }

    /// Tells those who wait in which VM it is.
    pub(crate) fn tell_vm(&self, vm: &Named) {
        self.stage.send_modify(|stage| stage.vm = Some(vm.clone()));
    }

    /// Tells those who wait which job it is.
    pub(crate) fn tell_job(&self, job: &JobId) {
        self.stage
            .send_modify(|stage| stage.job = Some(job.clone()));
    }

    fn is_over(&self) -> bool {
        self.stage.borrow().outcome.is_some()
    }
}

/// What a call does.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send>>;

/// How a wait for a call ended.
pub(crate) enum Waited {
    Done(Answer),
    /// It goes on.
    Running(Stage),
}

/// One who waits: until when, and who hears of it.
pub(crate) struct Waiter {
    deadline: Instant,
    cancelled: CancellationToken,
    closing: CancellationToken,
    progress: Option<(Peer<RoleServer>, ProgressToken)>,
    room: Arc<Semaphore>,
}

impl Waiter {
    pub(crate) fn new(context: &RequestContext<RoleServer>, session: &Session) -> Self {
        let token = context.meta.get_progress_token();
        Self {
            deadline: Instant::now() + session.options.answer_limit,
            cancelled: context.ct.clone(),
            closing: session.closing.clone(),
            room: session.calls.short.clone(),
            progress: token.map(|token| (context.peer.clone(), token)),
        }
    }

    /// What is left until the answer is due.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Does short work that nobody else waits for, as [`Waiter::wait_long_for`] does.
    pub(crate) async fn wait_for<T>(
        &self,
        doing: &str,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Failure> {
        let work = async {
            // It is never closed.
            let _permit = self.room.acquire().await;
            work.await
        };
        self.wait_long_for(doing, work).await
    }

    /// Does work that nobody else waits for, unless the client does not want it any more or the time is over.
    pub(crate) async fn wait_long_for<T>(
        &self,
        doing: &str,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Failure> {
        tokio::pin!(work);
        let began = Instant::now();
        let mut ticks = interval_at((began + PROGRESS_INTERVAL).into(), PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(Some(done)),
                () = self.cancelled.cancelled() => return Err(cancelled()),
                () = self.closing.cancelled() => return Err(closing()),
                () = sleep_until(self.deadline.into()) => return Ok(None),
                _ = ticks.tick() => self.tell(began, doing).await,
            }
        }
    }

    async fn tell(&self, began: Instant, doing: &str) {
        let Some((peer, token)) = &self.progress else {
            return;
        };
        let word = ProgressNotificationParam::new(token.clone(), began.elapsed().as_secs_f64())
            .with_message(doing);
        // A client that does not read is not waited for.
        let _ = timeout(PROGRESS_TIMEOUT, peer.notify_progress(word)).await;
    }
}

/// The failure of a call that its client took back.
pub(crate) fn cancelled() -> Failure {
    Failure::new("cancelled", "the call was cancelled")
}

/// The failure of a call when the server ends.
pub(crate) fn closing() -> Failure {
    Failure::new("ending", "the server is ending")
}

/// What makes two calls the same: a hash with a key of this server's.
pub(crate) type Identity = u64;

/// All calls that run, and those whose answer is kept.
#[derive(Debug)]
pub(crate) struct Calls {
    hasher: RandomState,
    table: Mutex<HashMap<Identity, Arc<Call>>>,
    work: TaskTracker,
    long: Arc<Semaphore>,
    short: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            table: Mutex::default(),
            work: TaskTracker::new(),
            long: Arc::new(Semaphore::new(LONG_AT_ONCE)),
            short: Arc::new(Semaphore::new(SHORT_AT_ONCE)),
        }
    }
}

impl Calls {
    /// What tells a call from others: its tool, and what it asks for.
    pub(crate) fn identity(&self, parts: impl Hash) -> Identity {
        self.hasher.hash_one(parts)
    }

    /// Waits for a call, which is begun unless the same one is there.
    pub(crate) async fn join(
        &self,
        waiter: &Waiter,
        (identity, has_key): (Identity, bool),
        begin: impl FnOnce(Arc<Call>) -> Work,
    ) -> Result<Waited, Failure> {
        let (call, was_there) = self.find_or_begin(identity, has_key, waiter, begin);
        let is_late = was_there && call.is_over();
        let waited = self.result(identity, &call, waiter).await;
        call.waiting.fetch_sub(1, Ordering::Relaxed);
        if waiter.cancelled.is_cancelled() && call.waiting.load(Ordering::Relaxed) == 0 {
            call.cancelled.cancel();
            self.forget(identity, &call);
        }
        match waited? {
            Waited::Done(answer) if is_late => {
                let age = call.began.elapsed().as_secs();
                Ok(Waited::Done(answer.after(&format!(
                    "This is the result of the same call of {age} s ago, which was not made again."
                ))))
            }
            waited => Ok(waited),
        }
    }

    /// Waits for the call that started a job, if there is one. That this wait is cancelled says nothing about the job.
    pub(crate) async fn join_job(
        &self,
        waiter: &Waiter,
        job: &JobId,
    ) -> Option<Result<Waited, Failure>> {
        let found = self.table().iter().find_map(|(identity, call)| {
            let is_it = call.stage.borrow().job.as_ref() == Some(job);
            is_it.then(|| (*identity, call.clone()))
        });
        let (identity, call) = found?;
        Some(self.result(identity, &call, waiter).await)
    }

    /// The answer of a call, which is then forgotten unless it has a key.
    async fn result(
        &self,
        identity: Identity,
        call: &Arc<Call>,
        waiter: &Waiter,
    ) -> Result<Waited, Failure> {
        match Self::wait(call, waiter).await? {
            Some(outcome) => {
                if !call.has_key {
                    self.forget(identity, call);
                }
                outcome.map(Waited::Done)
            }
            None => Ok(Waited::Running(call.stage.borrow().clone())),
        }
    }

    fn find_or_begin(
        &self,
        identity: Identity,
        has_key: bool,
        waiter: &Waiter,
        begin: impl FnOnce(Arc<Call>) -> Work,
    ) -> (Arc<Call>, bool) {
        let mut table = self.table();
        if let Some(call) = table.get(&identity) {
            call.waiting.fetch_add(1, Ordering::Relaxed);
            return (call.clone(), true);
        }
        drop_oldest(&mut table);
        let call = Arc::new(Call::new(has_key));
        call.waiting.fetch_add(1, Ordering::Relaxed);
        table.insert(identity, call.clone());
        drop(table);
        let work = begin(call.clone());
        let (its, closing) = (call.clone(), waiter.closing.clone());
        let room = self.long.clone();
        call.tell("waiting for other calls");
        let work = async move {
            let _permit = room.acquire().await;
            work.await
        };
        self.work.spawn(async move {
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = closing.cancelled() => Err(self::closing()),
            };
            its.stage.send_modify(|stage| stage.outcome = Some(outcome));
        });
        (call, false)
    }

    async fn wait(
        call: &Call,
        waiter: &Waiter,
    ) -> Result<Option<Result<Answer, Failure>>, Failure> {
        let mut stages = call.stage.subscribe();
        let mut ticks = interval_at(
            (Instant::now() + PROGRESS_INTERVAL).into(),
            PROGRESS_INTERVAL,
        );
        loop {
            if let Some(outcome) = &stages.borrow_and_update().outcome {
                return Ok(Some(outcome.clone()));
            }
            tokio::select! {
                _ = stages.changed() => {}
                () = waiter.cancelled.cancelled() => return Err(cancelled()),
                () = waiter.closing.cancelled() => return Err(closing()),
                () = sleep_until(waiter.deadline.into()) => return Ok(None),
                _ = ticks.tick() => {
                    let doing = call.stage.borrow().doing.clone();
                    waiter.tell(call.began, &doing).await;
                }
            }
        }
    }

    /// Waits until all work has ended, after `closing` was cancelled.
    pub(crate) async fn end(&self) {
        self.work.close();
        self.work.wait().await;
    }

    fn forget(&self, identity: Identity, call: &Arc<Call>) {
        let mut table = self.table();
        if table
            .get(&identity)
            .is_some_and(|there| Arc::ptr_eq(there, call))
        {
            table.remove(&identity);
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<Identity, Arc<Call>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more answer.
fn drop_oldest(table: &mut HashMap<Identity, Arc<Call>>) {
    let over = table.iter().filter(|(_, call)| call.is_over());
    if over.clone().count() < KEPT_ANSWERS {
        return;
    }
    let oldest = over.min_by_key(|(_, call)| call.began);
    if let Some(identity) = oldest.map(|(identity, _)| *identity) {
        table.remove(&identity);
    }
}
