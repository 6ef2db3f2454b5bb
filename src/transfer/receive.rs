//! Moving one object out of the storage: the GET feeds a blocking thread, and a connection that breaks is taken up where it broke.

use std::io::Read;

use futures_util::StreamExt as _;
use tokio::sync::mpsc::Sender;

use super::archive::Fault;
use super::channel::{Inlet, Piece, channel};
use super::codec::Codec;
use super::error::{Error, RemoteClass, RemoteError};
use super::remote::BlobStore;
use super::retry::Retries;
use crate::secret::SignedUrl;

/// Decoded bytes, in the thread that consumes them.
pub(super) type Input = Box<dyn Read + Send>;

/// Feeds the object at `url` to `consumer`, which must read to the end; answers with what it made and the bytes that came in.
pub(super) async fn receive<T, C>(
    store: &impl BlobStore,
    url: &SignedUrl,
    codec: Codec,
    path: &str,
    consumer: C,
) -> Result<(T, u64), Error>
where
    T: Send + 'static,
    C: FnOnce(Input) -> Result<T, Fault> + Send + 'static,
{
    let (sender, receiver) = channel();
    let task = tokio::task::spawn_blocking(move || consumer(codec.decoder(Inlet::new(receiver))?));
    let (fed, made) = tokio::join!(feed(store, url, sender), task);
    let made = made.map_err(|error| Error::Worker(error.to_string()))?;
    match (made, fed) {
        (Err(Fault::Refused(error)), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (Err(Fault::Stream(error)), Ok(_)) => Err(Error::integrity(
            path,
            format!("what arrived is damaged: {error}"),
        )),
        (Ok(_), Ok(0)) if codec != Codec::None => Err(Error::integrity(path, "nothing arrived")),
        (Ok(value), Ok(bytes)) => Ok((value, bytes)),
    }
}

async fn feed(
    store: &impl BlobStore,
    url: &SignedUrl,
    sender: Sender<Piece>,
) -> Result<u64, RemoteError> {
    let mut at = 0;
    let mut retries = Retries::default();
    loop {
        let error = match store.get(url, at).await {
            Err(error) => error,
            Ok(mut bytes) => loop {
                match bytes.next().await {
                    None => {
                        let _ = sender.send(Piece::End).await;
                        return Ok(at);
                    }
                    Some(Err(error)) => break error,
                    Some(Ok(piece)) => {
                        at += piece.len() as u64;
                        retries.reset();
                        if sender.send(Piece::Data(piece)).await.is_err() {
                            // The consumer has a reason of its own to stop.
                            return Ok(at);
                        }
                    }
                }
            },
        };
        retries.wait(error, &[RemoteClass::Retryable]).await?;
    }
}
