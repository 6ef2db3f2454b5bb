//! A TCP connection here that goes on in a VM.

use std::io;

use bytes::BytesMut;
use fastvm_api::Client;
use fastvm_api::exec::Event;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
    let (reading, mut writing) = here.into_split();
    let passed = connect(client, vm, (host, port), reading, &mut writing).await;
    if passed.is_err() {
        // Dropping it would end it as if all were well.
        writing.as_ref().set_zero_linger().unwrap_or_default();
        writing.forget();
    }
    passed
}

/// Connects to a port as the VM sees it, as [`tunnel`] does, and passes on what is read here, and what comes back.
///
/// # Errors
/// As [`TunnelError`] lists them. What is written to has not been ended then.
pub async fn connect<R, W>(
    client: &Client,
    vm: &str,
    (host, port): (&str, u16),
    reading: R,
    writing: &mut W,
) -> Result<(), TunnelError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
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
    pass(stream.input, stream.output, reading, writing).await?;
    guard.0 = None;
    Ok(())
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

/// Passes bytes both ways. While nobody reads here, what is sent from here still goes on.
async fn pass(
    input: Input,
    output: Output,
    reading: impl AsyncRead + Unpin,
    writing: &mut (impl AsyncWrite + Unpin),
) -> Result<(), TunnelError> {
    let sending = async {
        match send(reading, input).await {
            // The other side decides when it is over.
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    };
    tokio::select! {
        biased;
        received = receive(output, writing) => received,
        error = sending => Err(error.into()),
    }
}

/// Sends what is read here, until its end or until the other side takes no more.
async fn send(mut reading: impl AsyncRead + Unpin, input: Input) -> io::Result<()> {
    loop {
        let mut buffer = BytesMut::with_capacity(READ);
        if reading.read_buf(&mut buffer).await? == 0 {
            // Whoever takes no more does not need to hear it.
            input.finish().await.unwrap_or_default();
            return Ok(());
        }
        if input.send(buffer).await.is_err() {
            return Ok(());
        }
    }
}

/// Writes what comes, until both directions have ended in the VM.
async fn receive(
    mut output: Output,
    writing: &mut (impl AsyncWrite + Unpin),
) -> Result<(), TunnelError> {
    let (mut said, mut written, mut is_ended) = (Vec::new(), 0, false);
    loop {
        match output.next_event().await? {
            Event::Stdout(bytes) => {
                written += bytes.len() as u64;
                writing.write_all(&bytes).await?;
            }
            Event::Stderr(bytes) => {
                let room = MOST_SAID.saturating_sub(said.len());
                said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Event::Exit(status) if status.is_success() => return Ok(()),
            Event::Exit(_) => return Err(refused(&said)),
        }
        // Between both streams there is no order, so the VM says after how many bytes the end comes.
        if !is_ended && end_of(&said) == Some(written) {
            is_ended = true;
            writing.shutdown().await?;
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
