//! A server of the Model Context Protocol over fastvm's API: agents launch VMs, run commands in them and move files.
//!
//! It prints nothing and reads no environment. [`serve`] speaks the protocol over a reader and a writer until the reader
//! ends or the caller says so, and then deletes the VMs that it launched.
//!
//! What it promises:
//! - An answer comes within [`Options::answer_limit`]. Commands are jobs (see [`fastvm_jobs`]), so they go on if that is too short.
//! - The same call twice at once is one command, one launch, one copy.
//! - An answer is no longer than [`Options::max_output`] tokens, and what a VM says stands in blocks of its own.
//! - A VM that it launches has a timer, which the server renews while it lives.

mod answer;
mod call;
mod commands;
mod copy;
mod delete;
mod dirs;
mod eof;
mod excerpt;
mod failure;
mod files;
mod find;
mod job;
mod launch;
mod lease;
mod list;
mod server;
mod session;
mod text;
mod tools;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fastvm_api::Client;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

pub use dirs::{AllowedDirs, NotAllowed};
pub use failure::Failure;

use server::Server;
use session::Session;

/// What a server is told when it starts.
#[derive(Debug)]
pub struct Options {
    /// Leaves out what changes something.
    pub read_only: bool,
    /// The folders of this machine that files may be copied from and to.
    pub allowed_dirs: AllowedDirs,
    /// How many tokens an answer may have.
    pub max_output: usize,
    /// How long a call waits for what it asked for before it answers that it goes on.
    pub answer_limit: Duration,
    /// How long a VM of the server lives on if the server is killed.
    pub lease: Duration,
    /// The version that clients are told.
    pub version: &'static str,
    /// Makes what a failure of the API is to the user.
    pub explain: fn(fastvm_api::Error) -> Failure,
}

/// What a server leaves behind.
#[derive(Debug, Default)]
pub struct Ended {
    /// Ids of VMs that were to be deleted and could not be, with the reason.
    pub left: Vec<(String, String)>,
}

/// A client cannot be spoken with.
#[derive(Debug, thiserror::Error)]
#[error("the client does not speak the Model Context Protocol: {0}")]
pub struct Error(String);

/// Work that stays on the thread of [`serve`].
type LocalWork = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Asks whoever started the server for a client of the API.
type Connect = oneshot::Sender<Result<Client, Failure>>;

/// Serves one client of the protocol until `input` ends or `stop` does.
///
/// `connect` is asked for a client of the API when the first tool needs it, and again if it failed.
///
/// # Errors
/// The client's first message is not of the protocol.
pub async fn serve(
    options: Options,
    (input, output): (
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin + 'static,
    ),
    mut connect: impl AsyncFnMut() -> Result<Client, Failure>,
    stop: impl Future<Output = ()>,
) -> Result<Ended, Error> {
    let (connector, mut requests) = mpsc::channel::<Connect>(1);
    let (copier, mut copies) = mpsc::unbounded_channel::<LocalWork>();
    let session = Session::new(options, connector, copier);
    let input = eof::Watched::new(input, session.closing.clone());
    let connecting = async {
        while let Some(answer) = requests.recv().await {
            // A call that ended meanwhile does not wait for it.
            let _ = answer.send(connect().await);
        }
    };
    let copying = async {
        while let Some(work) = copies.recv().await {
            tokio::task::spawn_local(work());
        }
    };
    let work = async {
        let served = tokio::select! {
            served = speak(session.clone(), (input, output)) => served,
            () = stop => Ok(()),
        };
        session.closing.cancel();
        let ended = session.end().await;
        served.map(|()| ended)
    };
    let local = LocalSet::new();
    local
        .run_until(async {
            tokio::select! {
                ended = work => ended,
                // Neither ends before the session does.
                ((), ()) = async { tokio::join!(connecting, copying) } => Ok(Ended::default()),
            }
        })
        .await
}

/// Speaks the protocol until the input ends.
async fn speak(
    session: Arc<Session>,
    io: (
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin + 'static,
    ),
) -> Result<(), Error> {
    let closing = session.closing.clone();
    let running = match Server::new(session).serve(io).await {
        Ok(running) => running,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(Error(error.to_string())),
    };
    let token = running.cancellation_token();
    let waiting = running.waiting();
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => {}
        () = closing.cancelled() => {
            // Calls end at once now, and what they say is still sent.
            token.cancel();
            let _ = waiting.await;
        }
    }
    Ok(())
}

/// Standard input and output as [`serve`] takes them. Where they are pipes, a read of them can be ended.
pub fn stdio() -> (
    impl AsyncRead + Send + Unpin + 'static,
    impl AsyncWrite + Send + Unpin + 'static,
) {
    rmcp::transport::io::stdio_pipes()
}
