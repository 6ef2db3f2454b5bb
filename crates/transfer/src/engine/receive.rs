//! Moving one object out of a VM: a source feeds a blocking thread, and a connection that breaks is taken up where it broke.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc::Sender;

use crate::engine::rate_limit::RateLimit;
use crate::error::{Error, RemoteClass, RemoteError};
use crate::format::archive::Fault;
use crate::format::channel::{ChannelReader, Piece, channel};
use crate::format::checksum::Checksum;
use crate::format::codec::Codec;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script;
use fastvm_api::secret::SignedUrl;

/// Blocks that one command reads.
const BLOCKS: u64 = 32;

/// Decoded bytes, in the thread that consumes them.
pub(crate) type Input = Box<dyn Read + Send>;

/// An object that is ready to be read.
#[derive(Debug)]
pub(crate) struct Ready<'a> {
    pub(crate) from: From<'a>,
    pub(crate) codec: Codec,
    /// Of the object, when its codec has no checksum of its own.
    pub(crate) sum: Option<u32>,
    pub(crate) rate_limit: RateLimit,
    /// What it is of, for messages.
    pub(crate) path: &'a str,
}

/// Where an object is.
#[derive(Debug)]
pub(crate) enum From<'a> {
    Storage(&'a SignedUrl),
    /// In a folder of the VM, so many bytes.
    Stage(&'a str, u64),
}

/// Feeds the object to `consumer`, which must read to the end; returns what it made and the bytes that came in. Checked when it returns.
pub(crate) async fn receive<T, C>(
    guest: &impl Guest,
    store: &impl BlobStore,
    ready: Ready<'_>,
    consumer: C,
) -> Result<(T, u64), Error>
where
    T: Send + 'static,
    C: FnOnce(Input) -> Result<T, Fault> + Send + 'static,
{
    let Ready {
        from,
        codec,
        sum,
        rate_limit,
        path,
    } = ready;
    let rate_limit = &rate_limit;
    let (sender, receiver) = channel();
    let task = tokio::task::spawn_blocking(move || {
        let wire = Summed {
            from: ChannelReader::new(receiver),
            sum: sum.map(|sum| (sum, Checksum::default())),
        };
        consumer(codec.decoder(wire)?)
    });
    let feed = async {
        match from {
            From::Storage(url) => feed_object(store, url, rate_limit, sender).await,
            From::Stage(stage, size) => feed_pieces(guest, stage, size, rate_limit, sender).await,
        }
    };
    let (fed, made) = tokio::join!(feed, task);
    let made = made.map_err(|error| Error::Worker(error.to_string()))?;
    match (made, fed) {
        (Err(Fault::Refused(error)), _) | (_, Err(error)) => Err(error),
        (Err(Fault::Stream(error)), Ok(_)) => Err(Error::integrity(
            path,
            format!("what arrived is damaged: {error}"),
        )),
        (Ok(_), Ok(0)) if codec != Codec::None => Err(Error::integrity(path, "nothing arrived")),
        (Ok(value), Ok(bytes)) => Ok((value, bytes)),
    }
}

async fn feed_object(
    store: &impl BlobStore,
    url: &SignedUrl,
    rate_limit: &RateLimit,
    sender: Sender<Piece>,
) -> Result<u64, Error> {
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
                        tokio::time::sleep(rate_limit.wait(piece.len())).await;
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

/// Reading a piece changes nothing, so it may be asked for again.
async fn feed_pieces(
    guest: &impl Guest,
    stage: &str,
    size: u64,
    rate_limit: &RateLimit,
    sender: Sender<Piece>,
) -> Result<u64, Error> {
    let mut at = 0;
    let mut retries = Retries::default();
    while at < size {
        let piece = match script::piece(guest, stage, at / script::BLOCK, BLOCKS).await {
            Err(Error::Remote(error)) => {
                let again = [RemoteClass::Retryable, RemoteClass::Lost];
                if let Err(error) = retries.wait(error, &again).await {
                    // Bytes were taken already: to run the command that made them again does not help.
                    return Err(RemoteError::new(RemoteClass::Final, error.into_source()).into());
                }
                continue;
            }
            piece => piece?,
        };
        retries.reset();
        let expected = (BLOCKS * script::BLOCK).min(size - at);
        if piece.len() as u64 != expected {
            return Err(Error::integrity(
                stage,
                format!("{} bytes arrived instead of {expected}", piece.len()),
            ));
        }
        at += expected;
        tokio::time::sleep(rate_limit.wait(piece.len())).await;
        if sender.send(Piece::Data(Bytes::from(piece))).await.is_err() {
            return Ok(at);
        }
    }
    let _ = sender.send(Piece::End).await;
    Ok(at)
}

/// Compares the checksum where the object ends.
struct Summed<R> {
    from: R,
    sum: Option<(u32, Checksum)>,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        if let Some((expected, sum)) = &mut self.sum {
            sum.update(&into[..got]);
            if got == 0 && !into.is_empty() && sum.clone().finish() != *expected {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "its checksum differs",
                ));
            }
        }
        Ok(got)
    }
}
