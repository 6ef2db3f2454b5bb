//! Streams between connections and files. Files block, so each has a thread; a short queue lies between.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::pin;

use axum::body::Bytes;
use axum::http::StatusCode;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::storage::Fault;
use crate::local::blobs::Upload;

/// How many chunks may wait on either side.
const QUEUE: usize = 4;

/// How much is read from a file at once, in bytes.
const CHUNK: u64 = 256 * 1024;

pub(super) fn too_large(limit: u64) -> Fault {
    let message = format!("the object may have {limit} bytes at most");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "EntityTooLarge", message)
}

/// Writes what comes to an upload and finishes it. Nothing is left if that fails or is given up.
pub(super) async fn receive(
    chunks: impl Stream<Item = Result<Bytes, Fault>>,
    upload: Upload,
    limit: u64,
) -> Result<(), Fault> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = spawn_blocking(move || write(receiver, upload));
    let mut chunks = pin!(chunks);
    let mut size = 0_u64;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        if sender.send(Part::Bytes(chunk)).await.is_err() {
            break;
        }
    }
    // If the writer has given up, its own error says why.
    sender.send(Part::End).await.ok();
    writer
        .await
        .map_err(Fault::internal)?
        .map_err(Fault::internal)
}

/// What goes to the writer. Only the end makes an object: a queue that closes before was given up.
enum Part {
    Bytes(Bytes),
    End,
}

fn write(mut parts: mpsc::Receiver<Part>, mut upload: Upload) -> io::Result<()> {
    while let Some(part) = parts.blocking_recv() {
        match part {
            Part::Bytes(bytes) => upload.write(&bytes)?,
            Part::End => return upload.finish(),
        }
    }
    Err(io::Error::other("the upload was given up"))
}

/// A part of a file, as it is read. A file that turns out shorter breaks the stream.
pub(super) fn send(file: File, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    spawn_blocking(move || {
        let mut position = first;
        while position < first + length {
            let mut chunk = vec![0; CHUNK.min(first + length - position) as usize];
            let read = file
                .read_exact_at(&mut chunk, position)
                .map(|()| Bytes::from(chunk));
            position += CHUNK;
            let broken = read.is_err();
            // Nobody listens any more: the download was given up.
            if sender.blocking_send(read).is_err() || broken {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    })
}
