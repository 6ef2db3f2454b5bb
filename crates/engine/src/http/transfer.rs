//! Streams between connections and files. Files block, so what is done with one is done on a thread that may; none waits
//! for a connection there, or a few that stand still would take the threads of all.

use std::fs::File;
use std::future::pending;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::storage::Fault;
use crate::blobs::Upload;

/// How much may wait to be written, in bytes.
const WAITING_LIMIT: usize = 1024 * 1024;

/// How much is read from a file at once, in bytes.
const CHUNK: u64 = 256 * 1024;

/// How long an upload may stand still.
const UPLOAD_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

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
    let mut chunks = pin!(chunks);
    let mut size = 0_u64;
    let mut has_ended = false;
    // What comes while something is written is written next, at once.
    let (mut waiting, mut waiting_bytes) = (Vec::new(), 0);
    let (mut free, mut writing) = (Some(upload), None);
    loop {
        if let Some(upload) = free.take_if(|_| has_ended || !waiting.is_empty()) {
            if waiting.is_empty() {
                return finish(upload).await;
            }
            writing = Some(write(upload, std::mem::take(&mut waiting)));
            waiting_bytes = 0;
        }
        tokio::select! {
            chunk = next_in_time(chunks.next()), if !has_ended && waiting_bytes < WAITING_LIMIT => {
                let Some(chunk) = chunk?.transpose()? else {
                    has_ended = true;
                    continue;
                };
                size += chunk.len() as u64;
                if size > limit {
                    return Err(too_large(limit));
                }
                waiting_bytes += chunk.len();
                waiting.push(chunk);
            }
            written = done(&mut writing) => {
                writing = None;
                free = Some(written?);
            }
        }
    }
}

async fn next_in_time<T>(next: impl Future<Output = T>) -> Result<T, Fault> {
    timeout(UPLOAD_IDLE_TIMEOUT, next).await.map_err(|_| {
        Fault::new(
            StatusCode::BAD_REQUEST,
            "RequestTimeout",
            "the upload stood still for too long",
        )
    })
}

type Writing = JoinHandle<io::Result<Upload>>;

fn write(mut upload: Upload, chunks: Vec<Bytes>) -> Writing {
    spawn_blocking(move || {
        chunks.iter().try_for_each(|chunk| upload.write(chunk))?;
        Ok(upload)
    })
}

/// Waits until what is being written is; for ever if there is nothing.
async fn done(writing: &mut Option<Writing>) -> Result<Upload, Fault> {
    match writing {
        Some(writing) => writing
            .await
            .map_err(Fault::internal)?
            .map_err(Fault::internal),
        None => pending().await,
    }
}

async fn finish(upload: Upload) -> Result<(), Fault> {
    spawn_blocking(move || upload.finish())
        .await
        .map_err(Fault::internal)?
        .map_err(Fault::internal)
}

/// A part of a file, as it is read. A file that turns out shorter breaks the stream.
pub(super) fn send(file: File, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let file = Arc::new(file);
    let offsets = (first..first + length).step_by(CHUNK as usize);
    stream::iter(offsets)
        .map(move |offset| {
            let file = file.clone();
            let size = CHUNK.min(first + length - offset);
            async move {
                let reading = spawn_blocking(move || {
                    let mut chunk = vec![0; size as usize];
                    file.read_exact_at(&mut chunk, offset)?;
                    Ok(Bytes::from(chunk))
                });
                reading.await.map_err(io::Error::other)?
            }
        })
        // One is read ahead while another is sent.
        .buffered(2)
}
