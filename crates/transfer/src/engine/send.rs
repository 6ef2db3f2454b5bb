//! Moving one object into the storage: a blocking thread produces it, the PUT consumes it, and a failure of one ends the other.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::pack::Stop;
use crate::engine::rate_limit::RateLimit;
use crate::error::{Error, RemoteClass};
use crate::format::channel::{ChannelWriter, channel, stream};
use crate::format::checksum::Checksum;
use crate::format::codec::{Codec, Encoder};
use crate::guest::remote::{BlobStore, Body, StagingObject};
use crate::guest::retry::Retries;

/// An object that the storage has confirmed.
#[derive(Debug)]
pub(crate) struct Sent<T> {
    pub(crate) object: StagingObject,
    /// What its producer answered.
    pub(crate) value: T,
    pub(crate) wire_bytes: u64,
    /// Of the object as it is stored, when the codec has no checksum of its own.
    pub(crate) sum: Option<u32>,
}

/// How an object is made.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    pub(crate) codec: Codec,
    pub(crate) rate_limit: RateLimit,
    /// That compress.
    pub(crate) threads: usize,
}

/// What a producer writes into.
pub(crate) type Output = Encoder<Wire>;

/// Sends what `producer` writes; `make` makes one for each try.
pub(crate) async fn send<T, P>(
    store: &impl BlobStore,
    name: &str,
    encoding: &Encoding,
    plain_bytes: u64,
    mut make: impl FnMut() -> P,
) -> Result<Sent<T>, Error>
where
    T: Send + 'static,
    P: FnOnce(&mut Output) -> Result<T, Stop> + Send + 'static,
{
    let mut retries = Retries::default();
    let mut number = 0;
    loop {
        let sent = async {
            let object = store.presign(&format!("{name}-{number}")).await?;
            if plain_bytes > object.max_bytes {
                return Err(Error::TooLarge {
                    bytes: plain_bytes,
                    limit: object.max_bytes,
                });
            }
            send_once(store, object, encoding, make()).await
        };
        match sent.await {
            Err(Error::Remote(error)) => {
                retries
                    .wait(error, &[RemoteClass::Retryable, RemoteClass::Expired])
                    .await?;
            }
            answer => return answer,
        }
        number += 1;
    }
}

/// Sends once what `producer` writes.
pub(crate) async fn send_once<T, P>(
    store: &impl BlobStore,
    object: StagingObject,
    encoding: &Encoding,
    producer: P,
) -> Result<Sent<T>, Error>
where
    T: Send + 'static,
    P: FnOnce(&mut Output) -> Result<T, Stop> + Send + 'static,
{
    let (sender, receiver) = channel();
    let (codec, threads) = (encoding.codec, encoding.threads);
    let count = Arc::new(AtomicU64::new(0));
    let wire = Wire {
        out: ChannelWriter::new(sender),
        count: count.clone(),
        limit: object.max_bytes,
        rate_limit: encoding.rate_limit.clone(),
        sum: (codec == Codec::None).then(Checksum::default),
    };
    let task = tokio::task::spawn_blocking(move || {
        let mut output = codec.encoder(wire, threads)?;
        let value = producer(&mut output)?;
        let wire = output.finish()?;
        wire.out.finish()?;
        Ok((value, wire.sum.map(Checksum::finish)))
    });
    let put = store
        .put(
            &object.upload,
            Body {
                bytes: stream(receiver),
                length: None,
            },
        )
        .await;
    let made = task
        .await
        .map_err(|error| Error::Worker(error.to_string()))?;
    let wire_bytes = count.load(Ordering::Relaxed);
    if wire_bytes > object.max_bytes {
        return Err(Error::TooLarge {
            bytes: wire_bytes,
            limit: object.max_bytes,
        });
    }
    match (made, put) {
        (Err(Stop::Failed(error)), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (Err(Stop::Closed(error)), Ok(())) => Err(Error::integrity(
            "the staging object",
            format!("the storage confirmed it before its end: {error}"),
        )),
        (Ok((value, sum)), Ok(())) => Ok(Sent {
            object,
            value,
            wire_bytes,
            sum,
        }),
    }
}

/// The last step before the network.
pub(crate) struct Wire {
    out: ChannelWriter,
    count: Arc<AtomicU64>,
    limit: u64,
    rate_limit: RateLimit,
    sum: Option<Checksum>,
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let got = self.out.write(bytes)?;
        if self
            .count
            .fetch_add(got as u64, Ordering::Relaxed)
            .saturating_add(got as u64)
            > self.limit
        {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(sum) = &mut self.sum {
            sum.update(&bytes[..got]);
        }
        std::thread::sleep(self.rate_limit.wait(got));
        Ok(got)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
