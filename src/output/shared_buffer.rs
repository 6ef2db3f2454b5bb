//! Output that waits to be written, in the order in which it was printed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a Ui writes to.
pub(super) type Stream = Box<dyn Write + Send>;

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Stdout,
    Stderr,
}

/// What one stream gets before the other has its turn.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) channel: Channel,
    pub(super) bytes: Vec<u8>,
}

/// What both streams are to get.
#[derive(Debug, Default)]
pub(super) struct SharedBuffer(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl SharedBuffer {
    /// A stream that adds to this.
    pub(super) fn end_for(self: &Arc<Self>, channel: Channel) -> Stream {
        Box::new(Collector {
            channel,
            collected: self.clone(),
        })
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.lock().bytes
    }

    /// Takes all.
    pub(super) fn take(&self) -> Vec<Piece> {
        std::mem::take(&mut *self.lock()).pieces
    }

    fn add(&self, channel: Channel, bytes: &[u8]) {
        let mut waiting = self.lock();
        waiting.bytes += bytes.len();
        match waiting.pieces.last_mut() {
            Some(last) if last.channel == channel => last.bytes.extend_from_slice(bytes),
            _ => waiting.pieces.push(Piece {
                channel,
                bytes: bytes.to_vec(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that collects.
struct Collector {
    channel: Channel,
    collected: Arc<SharedBuffer>,
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.collected.add(self.channel, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
