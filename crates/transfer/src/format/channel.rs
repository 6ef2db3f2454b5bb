//! Bytes between a blocking thread and async code: bounded, and an end must be said. A side that is lost is an error, never an end.

use std::io::{self, Read, Write};
use std::pin::Pin;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;

const CHUNK: usize = 256 * 1024;
const QUEUE_LENGTH: usize = 4;

/// Bytes on their way in. A stream that ends without an error is complete.
pub type ByteStream<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

#[derive(Debug)]
pub enum Piece {
    Data(Bytes),
    Failed(io::Error),
    End,
}

/// A channel that holds at most 1 MiB.
pub fn channel() -> (mpsc::Sender<Piece>, mpsc::Receiver<Piece>) {
    mpsc::channel(QUEUE_LENGTH)
}

/// The writing end for a blocking thread.
#[derive(Debug)]
pub struct ChannelWriter {
    sender: mpsc::Sender<Piece>,
    buffer: BytesMut,
}

impl ChannelWriter {
    pub fn new(sender: mpsc::Sender<Piece>) -> Self {
        Self {
            sender,
            buffer: BytesMut::with_capacity(CHUNK),
        }
    }

    /// Says that everything was written.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        self.sender.blocking_send(piece).map_err(|_| {
            io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the other side of the transfer stopped",
            )
        })
    }
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK));
        self.send(Piece::Data(full.freeze()))
    }
}

/// The reading end for a blocking thread.
pub(crate) struct ChannelReader {
    receiver: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl ChannelReader {
    pub(crate) fn new(receiver: mpsc::Receiver<Piece>) -> Self {
        Self {
            receiver,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl Read for ChannelReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Piece::Data(bytes)) => self.current = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Failed(error)) => return Err(error),
                None => return Err(lost()),
            }
        }
        let taken = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..taken]);
        Ok(taken)
    }
}

/// The reading end for async code.
pub fn stream(receiver: mpsc::Receiver<Piece>) -> ByteStream<io::Error> {
    Box::pin(stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Data(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(Piece::End) => None,
            Some(Piece::Failed(error)) => Some((Err(error), None)),
            None => Some((Err(lost()), None)),
        }
    }))
}

fn lost() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the transfer stopped before its end",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    #[tokio::test]
    async fn a_writer_that_is_lost_is_an_error() {
        let (sender, receiver) = channel();
        let writer = tokio::task::spawn_blocking(move || {
            let mut outlet = ChannelWriter::new(sender);
            outlet.write_all(&[7; 200_000]).unwrap();
            outlet.flush().unwrap();
        });
        assert!(stream(receiver).try_collect::<Vec<_>>().await.is_err());
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let (sender, receiver) = channel();
        let (back, end) = channel();
        let writer = tokio::task::spawn_blocking(move || {
            let mut outlet = ChannelWriter::new(sender);
            outlet.write_all(&[7; 3_000_000]).unwrap();
            outlet.finish().unwrap();
        });
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            ChannelReader::new(end).read_to_end(&mut all).map(|_| all)
        });
        let mut pieces = stream(receiver);
        while let Some(piece) = pieces.try_next().await.unwrap() {
            back.send(Piece::Data(piece)).await.unwrap();
        }
        back.send(Piece::End).await.unwrap();
        writer.await.unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), vec![7; 3_000_000]);
    }
}
