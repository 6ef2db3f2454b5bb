//! A TCP connection here that goes on in a VM.

use std::io;

use bytes::BytesMut;
use fastvm_api::Client;
use fastvm_api::exec::Event;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::{Command, Control, Error, Input, Output, Stream, script};

/// How much is read at once, in bytes.
const READ: usize = 64 * 1024;
/// How much of what the VM says is kept, in bytes.
const MOST_SAID: usize = 4096;

/// Why a connection did not come about, or broke.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The VM could not connect, or lost the connection.
    #[error("{reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The way to the VM broke.
    #[error(transparent)]
    Stream(#[from] Error),
    /// The connection here broke.
    #[error("the connection broke: {0}")]
    Here(#[from] io::Error),
}

/// Connects to a port as the VM sees it, and passes bytes both ways until both sides have ended theirs.
///
/// The end of one direction is passed on while the other goes on, if the VM has `python3`. Nothing of a broken connection
/// stays in the VM.
///
/// # Errors
/// As [`TunnelError`] lists them; the connection here is reset then, so that nobody takes the break for an end.
pub async fn tunnel(
    client: &Client,
    vm: &str,
    (host, port): (&str, u16),
    here: TcpStream,
) -> Result<(), TunnelError> {
    here.set_nodelay(true)?;
    let port = port.to_string();
    let dial = [
        "sh",
        "-c",
        &script::DIAL,
        "fastvm",
        host,
        &port,
        script::DIAL_PROGRAM,
    ];
    let stream = Stream::open(client, vm, &Command::new(dial));
    let mut guard = StopOnDrop(Some(stream.control));
    let (reading, writing) = here.into_split();
    let passed = pass(stream.input, stream.output, reading, writing).await;
    match passed {
        Ok(writing) => {
            guard.0 = None;
            drop(writing);
            Ok(())
        }
        Err((error, half)) => {
            // Dropping it would end it as if all were well.
            half.as_ref().set_zero_linger().unwrap_or_default();
            half.forget();
            Err(error)
        }
    }
}

/// Ends the command of a connection that broke.
struct StopOnDrop(Option<Control>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(control) = self.0.take() {
            tokio::spawn(async move { control.stop().await });
        }
    }
}

async fn pass(
    input: Input,
    mut output: Output,
    mut reading: OwnedReadHalf,
    mut writing: OwnedWriteHalf,
) -> Result<OwnedWriteHalf, (TunnelError, OwnedWriteHalf)> {
    let mut said = Vec::new();
    let mut written = 0;
    let sending = async {
        loop {
            let mut buffer = BytesMut::with_capacity(READ);
            if reading.read_buf(&mut buffer).await? == 0 {
                input.finish().await.unwrap_or_default();
                return Ok::<_, io::Error>(());
            }
            if input.send(buffer).await.is_err() {
                return Ok(());
            }
        }
    };
    let mut sending = std::pin::pin!(sending);
    let (mut is_sent, mut is_ended) = (false, false);
    loop {
        let event = tokio::select! {
            biased;
            event = output.next_event() => event,
            sent = &mut sending, if !is_sent => match sent {
                Ok(()) => {
                    is_sent = true;
                    continue;
                }
                Err(error) => return Err((error.into(), writing)),
            },
        };
        let done = match event {
            Ok(Event::Stdout(bytes)) => {
                written += bytes.len() as u64;
                // Where nobody reads here, what is sent from here still goes on.
                let mut write = std::pin::pin!(writing.write_all(&bytes));
                loop {
                    tokio::select! {
                        biased;
                        done = &mut write => break done,
                        sent = &mut sending, if !is_sent => match sent {
                            Ok(()) => is_sent = true,
                            Err(error) => break Err(error),
                        },
                    }
                }
            }
            Ok(Event::Stderr(bytes)) => {
                let room = MOST_SAID.saturating_sub(said.len());
                said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Ok(())
            }
            Ok(Event::Exit(status)) if status.is_success() => return Ok(writing),
            Ok(Event::Exit(_)) => return Err((refused(&said), writing)),
            Err(error) => return Err((error.into(), writing)),
        };
        let done = match done {
            // Between both streams there is no order, so the VM says after how many bytes the end comes.
            Ok(()) if !is_ended && end_of(&said) == Some(written) => {
                is_ended = true;
                writing.shutdown().await
            }
            done => done,
        };
        if let Err(error) = done {
            return Err((error.into(), writing));
        }
    }
}

/// After how many bytes the other side ended its half.
fn end_of(said: &[u8]) -> Option<u64> {
    let line = said.strip_prefix(b"end ")?.strip_suffix(b"\n")?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

fn refused(said: &[u8]) -> TunnelError {
    let text = String::from_utf8_lossy(said);
    let reason = match text.trim() {
        "" => "the connection in the VM broke".to_owned(),
        said => said.to_owned(),
    };
    TunnelError::Refused { reason }
}
