//! Speaks HTTP/1.1 and HTTP/2 (with prior knowledge) on a listener until told to stop.

mod activity;
mod caller;

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use self::activity::{Activity, AnswerBody, Expiry, Observed, Stalling};
pub(crate) use self::caller::Caller;
use self::caller::Unauthenticated;
use super::connections::{Admission, VmConnections, accept};

/// How long answers under way may take once the server is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a connection that is idle may take to close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// What one HTTP/2 stream may send ahead, in bytes: uploads over loopback should not wait for window updates.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// After how much silence the system asks whether a client on another computer is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Whose connections a listener takes.
#[derive(Clone, Debug)]
pub(crate) enum Callers {
    /// Those of clients. So many may be open without a key.
    Clients { unauthenticated: usize },
    /// Those of the programs in a VM.
    Vm {
        id: Arc<str>,
        connections: VmConnections,
    },
}

/// A connection that was accepted.
struct Accepted {
    socket: TcpStream,
    caller: Caller,
    stalling: Stalling,
    /// Tells that others need its place.
    evicted: Option<oneshot::Receiver<()>>,
    /// What it takes of the limits of its VM.
    _admission: Option<Admission>,
}

/// Serves on `listener` until `stop` is done; then accepts no more and waits, at most 5 s, for answers under way. Dropping
/// it ends all connections.
///
/// A connection has no time limit while a request is under way on it. Else it is ended after a time, and when there are too
/// many.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    callers: Callers,
    stop: impl Future<Output = ()>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW);
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut gate = Gate::new(callers);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = gate.next(&listener) => accepted,
        };
        if let Some(accepted) = accepted {
            let server = TowerToHyperService::new(router.clone());
            connections.spawn(run(builder.clone(), server, accepted, stopped.clone()));
        }
    }
    drop(listener);
    // There may be no connection that hears it.
    stopping.send(true).ok();
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(SHUTDOWN_GRACE, ended).await.ok();
}

/// Lets connections in.
enum Gate {
    Clients(Arc<Unauthenticated>),
    Vm {
        id: Arc<str>,
        connections: VmConnections,
        /// Accepted, and waiting until the VM may have one more.
        waiting: Option<TcpStream>,
    },
}

impl Gate {
    fn new(callers: Callers) -> Self {
        match callers {
            Callers::Clients { unauthenticated } => {
                Self::Clients(Unauthenticated::new(unauthenticated))
            }
            Callers::Vm { id, connections } => Self::Vm {
                id,
                connections,
                waiting: None,
            },
        }
    }

    /// The next connection. May be given up at any point.
    async fn next(&mut self, listener: &TcpListener) -> Option<Accepted> {
        match self {
            Self::Clients(unauthenticated) => {
                let (socket, peer) = accept(listener).await;
                prepare(&socket, peer);
                let (client, evicted) = unauthenticated.add();
                Some(Accepted {
                    socket,
                    caller: Caller::Client(Arc::new(client)),
                    stalling: Stalling::Allowed,
                    evicted: Some(evicted),
                    _admission: None,
                })
            }
            Self::Vm {
                id,
                connections,
                waiting,
            } => {
                if waiting.is_none() {
                    let (socket, peer) = accept(listener).await;
                    prepare(&socket, peer);
                    *waiting = Some(socket);
                }
                let admission = connections.admit(1).await;
                Some(Accepted {
                    socket: waiting.take()?,
                    caller: Caller::Vm(id.clone()),
                    stalling: Stalling::Ended,
                    evicted: None,
                    _admission: admission,
                })
            }
        }
    }
}

/// Sets what a socket needs. Failure costs only time.
fn prepare(socket: &TcpStream, peer: SocketAddr) {
    // Else small answers would wait for an acknowledgement.
    socket.set_nodelay(true).ok();
    if !peer.ip().is_loopback() {
        // A computer that was switched off sends no end.
        sockopt::set_socket_keepalive(socket, true).ok();
        sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE).ok();
        sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL).ok();
    }
}

/// Answers on a connection until it ends. One that breaks concerns its client alone.
async fn run(
    builder: Builder<TokioExecutor>,
    server: TowerToHyperService<Router>,
    accepted: Accepted,
    mut stopped: watch::Receiver<bool>,
) {
    let activity = Activity::new(accepted.stalling);
    let stream = TokioIo::new(Observed {
        stream: accepted.socket,
        activity: activity.clone(),
    });
    let requests = activity.clone();
    let caller = accepted.caller;
    let service = service_fn(move |request| answer(&server, &requests, &caller, request));
    let mut connection = pin!(builder.serve_connection_with_upgrades(stream, service));
    let grace = tokio::select! {
        _ = &mut connection => return,
        () = evicted(accepted.evicted) => return,
        expiry = activity.expired() => match expiry {
            Expiry::HalfOpen => return,
            Expiry::Idle => CLOSE_GRACE,
        },
        // It fails when the server is gone, and then this is as well.
        _ = stopped.wait_for(|stopped| *stopped) => SHUTDOWN_GRACE,
    };
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(grace, connection).await.ok();
}

/// Waits until others need the place of a connection. One that has shown a key keeps it.
async fn evicted(told: Option<oneshot::Receiver<()>>) {
    if let Some(told) = told
        && told.await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}

type Answering =
    Pin<Box<dyn Future<Output = Result<Response<AnswerBody<Body>>, Infallible>> + Send + 'static>>;

fn answer(
    server: &TowerToHyperService<Router>,
    activity: &Activity,
    caller: &Caller,
    mut request: Request<Incoming>,
) -> Answering {
    let under_way = activity.begin(request.version());
    request.extensions_mut().insert(caller.clone());
    let answer = server.call(request);
    Box::pin(async move {
        Ok(answer.await?.map(|body| AnswerBody {
            body,
            _under_way: under_way,
        }))
    })
}
