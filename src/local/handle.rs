//! Starting and stopping an engine.

use std::fmt;
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::engine::{Answer, Core};
use super::options::{Options, Workers};
use super::{Error, egress, http, server};
use crate::secret::ApiKey;

/// How long a stopping engine goes on removing the disks of deleted VMs; the next one does the rest.
const REMOVAL: Duration = Duration::from_secs(2);

/// How long a stopping engine goes on finishing what others left; the next one does the rest.
const SWEEP_GRACE: Duration = Duration::from_secs(5);

/// How many descriptors an engine for many clients may have open, where the system lets it.
const DESCRIPTORS: u64 = 65_536;

/// How often an engine looks for machines that other engines ended, and for verbs that others left half done.
const TIDY: Duration = Duration::from_secs(30);

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
    if options.workers == Workers::Many {
        raise_descriptor_limit();
    }
    let (address, listener) = listen(options.listen)?;
    let workers = options.workers;
    let core = Core::open(options, address)?;
    let (url, key) = (core.url(), core.key().clone());
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new()
        .name("fastvm-engine".to_owned())
        .spawn(move || run(workers, listener, &core, stopped))
        .map_err(Error::System)?;
    Ok(Engine {
        url,
        key,
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// Each VM that is used takes a few descriptors, and the usual limit is made for programs that need few.
///
/// What cannot be raised stays: then many VMs at once are refused, which says why.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).ok();
    }
}

/// Binds an address; the port of the result is never 0.
fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), Error> {
    let fail = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    Ok((listener.local_addr().map_err(fail)?, listener))
}

fn run(workers: Workers, listener: TcpListener, core: &Arc<Core>, stopped: oneshot::Receiver<()>) {
    let mut builder = match workers {
        Workers::One => runtime::Builder::new_current_thread(),
        Workers::Many => runtime::Builder::new_multi_thread(),
    };
    let Ok(runtime) = builder.enable_all().thread_name("fastvm-engine").build() else {
        return;
    };
    runtime.block_on(async {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
            return;
        };
        core.set_doors(doors(core));
        let tidying = tokio::spawn(tidy(Arc::downgrade(core)));
        let sweeper = core.clone();
        // What cannot be swept now is swept at the next start.
        let sweeping = spawn_blocking(move || sweeper.sweep().ok());
        // The sender sends nothing: it is dropped.
        let stop = async { drop(stopped.await) };
        server::serve(listener, http::router::for_callers(core.clone()), stop).await;
        tidying.abort();
        // A short command may be the only one for a long time.
        tokio::time::timeout(SWEEP_GRACE, sweeping).await.ok();
    });
    core.settle(REMOVAL);
    runtime.shutdown_background();
}

/// What is answered in VMs: signed URLs on the engine's own port, and the proxy.
///
/// The answers refer back to the engine without keeping it.
fn doors(core: &Arc<Core>) -> Vec<(u16, Answer)> {
    let engine = Arc::downgrade(core);
    let router = move || engine.upgrade().map(http::router::for_guests);
    let mut doors = vec![(
        core.address().port(),
        door(move |listener| {
            let router = router();
            async move {
                if let Some(router) = router {
                    server::serve(listener, router, pending()).await;
                }
            }
        }),
    )];
    if let Some((port, reach)) = core.proxy() {
        doors.push((
            port,
            door(move |listener| egress::serve(listener, reach.clone())),
        ));
    }
    doors
}

/// Runs a server on the listeners that machines give us.
fn door<S: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(tokio::net::TcpListener) -> S + Send + Sync + 'static,
) -> Answer {
    let runtime = Handle::current();
    Box::new(move |listener| {
        let _context = runtime.enter();
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        let server = serve(tokio::net::TcpListener::from_std(listener)?);
        Ok(runtime.spawn(server).abort_handle())
    })
}

/// Lets go of dead machines, and finishes what dead engines left, from time to time.
async fn tidy(core: Weak<Core>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let Some(core) = core.upgrade() else { return };
        // It fails only when the runtime ends.
        spawn_blocking(move || {
            core.forget_dead_machines();
            // What cannot be done now is tried again.
            core.finish_verbs().ok();
        })
        .await
        .ok();
    }
}
