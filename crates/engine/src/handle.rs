//! Starting and stopping an engine.

use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use jiff::Timestamp;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::connections::{ConnectionLimits, raise_descriptor_limit};
use super::engine::{Answer, Core, Guest};
use super::options::{Options, Workers};
use super::server::Callers;
use super::{Error, egress, http, server};
use crate::background::Background as _;
use fastvm_api::secret::ApiKey;

/// How long a stopping engine goes on removing the disks of deleted VMs; the next one does the rest.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a stopping engine goes on finishing what others left; the next one does the rest.
const SWEEP_GRACE: Duration = Duration::from_secs(5);

/// The address space that an engine needs, in bytes.
const ADDRESS_SPACE: u64 = 96 << 20;

/// How often an engine looks for machines that other engines ended, and for verbs that others left half done.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);

/// How long a thread for what may block waits for work. Longer than the time between two looks for dead machines, so that
/// there is always one: where no other can be made, it does the work of all.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(90);

/// How many connections may wait to be accepted. One that finds no place is tried again by the system after a second.
const BACKLOG: i32 = 4096;

/// How many descriptors more an engine needs to answer a request.
const DESCRIPTORS_NEEDED: i32 = 32;

/// A running engine. Dropping it stops it without waiting.
pub struct Engine {
    url: String,
    key: ApiKey,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// The base URL, like `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that requests must carry.
    pub fn key(&self) -> &ApiKey {
        &self.key
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: accepts no more, waits for answers under way for at most 5 s. VMs live on.
    pub fn stop(mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has stopped as well.
            thread.join().ok();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Starts an engine on a thread of its own. It answers as soon as this returns.
pub fn start(options: Options) -> Result<Engine, Error> {
    check_clock()?;
    check_memory()?;
    let limits = ConnectionLimits::new(raise_descriptor_limit());
    let (address, listener) = listen(options.listen)?;
    let workers = options.workers;
    let core = Core::open(options, address)?;
    let (url, key) = (core.url(), core.key().clone());
    let (stop, stopped) = oneshot::channel();
    let (hand_over, handed) = mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("fastvm-engine".to_owned())
        .spawn(move || {
            if let Ok((runtime, listener)) = handed.recv() {
                run(runtime, listener, &core, limits, stopped);
            }
        })
        .map_err(Error::System)?;
    let built = build(workers, listener).map_err(Error::System)?;
    hand_over
        .send(built)
        .map_err(|gone| Error::System(io::Error::other(gone.to_string())))?;
    Ok(Engine {
        url,
        key,
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// The HTTP server panics on a clock before 1970, whatever it is asked.
fn check_clock() -> Result<(), Error> {
    match Timestamp::now() {
        now if now < Timestamp::UNIX_EPOCH => Err(Error::Clock { now }),
        _ => Ok(()),
    }
}

/// A thread or a byte that cannot be had later ends the process without a word.
fn check_memory() -> Result<(), Error> {
    match getrlimit(Resource::As).current {
        Some(limit) if limit < ADDRESS_SPACE => {
            let (limit, needed) = (limit >> 20, ADDRESS_SPACE >> 20);
            Err(Error::System(io::Error::other(format!(
                "it may use {limit} MiB of address space (`ulimit -v`) and needs {needed}"
            ))))
        }
        _ => Ok(()),
    }
}

/// Makes a runtime with its threads, and has it watch the listener.
fn build(
    workers: Workers,
    listener: TcpListener,
) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let (mut builder, threads) = match workers {
        Workers::One => (runtime::Builder::new_current_thread(), 0),
        Workers::Many => {
            let count = thread::available_parallelism().map_or(1, usize::from);
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(count);
            (builder, count)
        }
    };
    try_descriptors(&listener, DESCRIPTORS_NEEDED)?;
    // One more for what may block. The runtime does not return an error where it gets none: it panics.
    try_threads(threads + 1)?;
    let runtime = builder
        .enable_all()
        .thread_name("fastvm-engine")
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()?;
    let context = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener);
    drop(context);
    match listener {
        Ok(listener) => Ok((runtime, listener)),
        Err(error) => {
            // It may not be waited for where another runtime runs, as that of a command.
            runtime.shutdown_background();
            Err(error)
        }
    }
}

/// Returns an error unless about so many descriptors more can be open at once. The newest has the highest number, or nearly.
fn try_descriptors(newest: &TcpListener, count: i32) -> io::Result<()> {
    let highest = newest.as_raw_fd().saturating_add(count);
    let opened = rustix::io::fcntl_dupfd_cloexec(newest, highest);
    // The number is over the limit.
    opened.map(drop).map_err(|error| match error {
        Errno::INVAL => Errno::MFILE.into(),
        other => other.into(),
    })
}

/// Returns an error unless so many threads more can be there at once.
fn try_threads(count: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    let held = gate.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let made: io::Result<Vec<_>> = (0..count)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())))
            .collect();
        drop(held);
        made.map(drop)
    })
}

/// Binds an address; the port of the result is never 0.
fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), Error> {
    let fail = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(fail)?;
    // Once more, for a longer queue than that of the standard library.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| fail(error.into()))?;
    listener.set_nonblocking(true).map_err(fail)?;
    Ok((listener.local_addr().map_err(fail)?, listener))
}

fn run(
    runtime: Runtime,
    listener: tokio::net::TcpListener,
    core: &Arc<Core>,
    limits: ConnectionLimits,
    stopped: oneshot::Receiver<()>,
) {
    let callers = Callers::Clients {
        unauthenticated: limits.unauthenticated,
    };
    runtime.block_on(async {
        core.set_doors(listeners(core), limits);
        let tidying = tokio::spawn(tidy(Arc::downgrade(core)));
        let sweeper = core.clone();
        // What cannot be swept now is swept at the next start.
        let sweeping = spawn_blocking(move || sweeper.sweep().or_warn("sweep the data folder"));
        // The sender sends nothing: it is dropped.
        let stop = async { drop(stopped.await) };
        let router = http::router::for_callers(core.clone());
        server::serve(listener, router, callers, stop).await;
        tidying.abort();
        // A short command may be the only one for a long time.
        tokio::time::timeout(SWEEP_GRACE, sweeping).await.ok();
    });
    core.settle(REMOVAL_TIMEOUT);
    runtime.shutdown_background();
}

/// What is answered in VMs: signed URLs on the engine's own port, and the proxy.
///
/// The answers refer back to the engine without keeping it.
fn listeners(core: &Arc<Core>) -> Vec<(u16, Answer)> {
    let engine = Arc::downgrade(core);
    let router = move || engine.upgrade().map(http::router::for_guests);
    let mut listeners = vec![(
        core.address().port(),
        door(move |guest: Guest, listener| {
            let router = router();
            let callers = Callers::Vm {
                id: guest.id,
                connections: guest.connections,
            };
            async move {
                if let Some(router) = router {
                    server::serve(listener, router, callers, pending()).await;
                }
            }
        }),
    )];
    if let Some((port, reach)) = core.proxy() {
        listeners.push((
            port,
            door(move |guest: Guest, listener| {
                egress::serve(listener, reach.clone(), guest.connections)
            }),
        ));
    }
    listeners
}

/// Runs a server on the listeners that machines give us.
fn door<S: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(Guest, tokio::net::TcpListener) -> S + Send + Sync + 'static,
) -> Answer {
    let runtime = Handle::current();
    Box::new(move |guest, listener| {
        let _context = runtime.enter();
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        let server = serve(guest, tokio::net::TcpListener::from_std(listener)?);
        Ok(runtime.spawn(server).abort_handle())
    })
}

/// Lets go of dead machines, and finishes what dead engines left, from time to time.
async fn tidy(core: Weak<Core>) {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        let Some(core) = core.upgrade() else { return };
        // It fails only when the runtime ends.
        spawn_blocking(move || {
            core.forget_dead_machines();
            // What cannot be done now is tried again.
            core.finish_verbs().or_warn("finish what others began");
        })
        .await
        .ok();
    }
}
