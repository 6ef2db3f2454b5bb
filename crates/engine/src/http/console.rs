//! `/v1/vms/{id}/console-token` and the socket that it opens.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use tokio::io::unix::AsyncFd;

use super::answer::{Failure, work};
use super::auth::has_key;
use super::id::Id;
use super::query::Parameters;
use crate::background::Background as _;
use crate::engine::Core;
use crate::server::Caller;
use fastvm_api::types::console::{ConsoleToken, Resize};
use fastvm_sandbox::Console;

/// How much of the terminal's output goes into one message, in bytes.
const CHUNK: usize = 32 * 1024;
/// The largest message that is taken, in bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// How much may wait to be typed before no more is read from the socket, in bytes.
const MOST_TYPED: usize = 4 * 1024 * 1024;

pub(super) async fn token(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<ConsoleToken>, Failure> {
    Ok(Json(work(move || core.console_token(&id)).await?))
}

pub(super) async fn open(
    State(core): State<Arc<Core>>,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    mut parameters: Parameters,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    if has_key(&headers) {
        let message = "X-API-Key must not be sent to a console: its token is all that opens it";
        return Err(Failure::forbidden(message));
    }
    let upgrade =
        upgrade.map_err(|why| Failure::new(why.status(), why.body_text().to_lowercase()))?;
    let session = parameters.take("session")?.unwrap_or_default();
    if !core.use_console_token(&session, &id) {
        let message = "the session token is wrong, used or too old: get a new one";
        return Err(Failure::new(StatusCode::UNAUTHORIZED, message));
    }
    caller.authenticate();
    let console = work(move || core.console(&id)).await?;
    Ok(upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(async |socket| {
            // A connection that breaks hangs the console up, as one that closes.
            serve(socket, console).await.or_warn("serve a console");
        }))
}

/// What can be done next.
enum Next {
    Shown(usize),
    Typed(Option<Message>),
    Written(usize),
    Ended,
}

/// Carries bytes between socket and terminal until either ends.
async fn serve(mut socket: WebSocket, console: Console) -> io::Result<()> {
    let master = watch(nonblocking(&console.master)?)?;
    let control = watch(console.process.control_fd().try_clone_to_owned()?)?;
    let mut typed: VecDeque<u8> = VecDeque::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let next = tokio::select! {
            biased;
            message = socket.recv(), if typed.len() < MOST_TYPED => {
                Next::Typed(message.transpose().map_err(io::Error::other)?)
            }
            written = master.async_io(tokio::io::Interest::WRITABLE, |terminal| {
                Ok(rustix::io::write(terminal, typed.as_slices().0)?)
            }), if !typed.is_empty() => Next::Written(written?),
            // A terminal that nobody has open any more reads as an error.
            read = master.async_io(tokio::io::Interest::READABLE, |terminal| {
                Ok(rustix::io::read(terminal, &mut *buffer)?)
            }) => Next::Shown(read.unwrap_or(0)),
            _ = control.readable() => Next::Ended,
        };
        match next {
            Next::Shown(0) => break,
            Next::Shown(count) => show(&mut socket, &buffer[..count]).await?,
            Next::Written(count) => drop(typed.drain(..count)),
            Next::Typed(Some(Message::Text(text))) => match serde_json::from_str::<Resize>(&text) {
                Ok(size) => console
                    .resize(size.rows, size.cols)
                    .map_err(io::Error::other)?,
                Err(_) => typed.extend(text.as_bytes()),
            },
            Next::Typed(Some(Message::Binary(bytes))) => typed.extend(&bytes[..]),
            Next::Typed(Some(Message::Ping(_) | Message::Pong(_))) => {}
            Next::Typed(Some(Message::Close(_)) | None) => return Ok(()),
            Next::Ended => {
                // Its last words are there already; who still has the terminal open is not waited for.
                while let Ok(count @ 1..) = rustix::io::read(master.get_ref(), &mut *buffer) {
                    show(&mut socket, &buffer[..count]).await?;
                }
                break;
            }
        }
    }
    socket
        .send(Message::Close(None))
        .await
        .map_err(io::Error::other)
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; what it asks for holds: the descriptor is owned and kept"
)]
fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(descriptor)
}

async fn show(socket: &mut WebSocket, bytes: &[u8]) -> io::Result<()> {
    let message = Message::Binary(Bytes::copy_from_slice(bytes));
    socket.send(message).await.map_err(io::Error::other)
}

fn nonblocking(terminal: &OwnedFd) -> io::Result<OwnedFd> {
    let terminal = terminal.try_clone()?;
    rustix::io::ioctl_fionbio(&terminal, true)?;
    Ok(terminal)
}
