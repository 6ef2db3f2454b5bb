//! The server's half of a channel: what it sends, and how much the client may send.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use crate::Error;
use crate::message;
use crate::sending::Outgoing;
use crate::wire::Writer;

/// How much a client may send before it is told that some of it was taken, in bytes.
pub(crate) const WINDOW: u32 = 2 * 1024 * 1024;
/// The most data that goes with a message, in bytes.
pub(crate) const MOST_DATA: u32 = 32 * 1024;

/// Standard output or standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Output,
    Errors,
}

/// What the client sends on a channel. The end of both is that of the channel.
pub(crate) struct Incoming {
    pub(crate) data: Data,
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
}

/// Data of the client, which may send more as it is taken.
pub(crate) struct Data {
    /// Pieces, and `None` at the end.
    pieces: mpsc::UnboundedReceiver<Option<Bytes>>,
    channel: Channel,
    taken: u32,
}

impl Data {
    pub(crate) fn new(pieces: mpsc::UnboundedReceiver<Option<Bytes>>, channel: Channel) -> Self {
        Self {
            pieces,
            channel,
            taken: 0,
        }
    }

    /// Returns the next piece, or `None` at the end. The pieces before are taken by then. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if self.taken >= WINDOW / 2 {
            self.channel.grant(std::mem::take(&mut self.taken));
        }
        let bytes = self.pieces.recv().await.flatten()?;
        self.taken += u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Some(bytes)
    }
}

/// What may be asked for while a command runs.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Resize { rows: u16, columns: u16 },
    Signal(String),
}

/// The way from a channel to the client. A clone is the same.
#[derive(Clone)]
pub(crate) struct Channel(Arc<Shared>);

struct Shared {
    outgoing: Outgoing,
    /// The channel's number at the client.
    theirs: u32,
    most_data: u32,
    /// How much the client takes.
    room: AtomicU32,
    has_room: Notify,
    /// How much the client may send.
    window: AtomicU32,
    is_closed: AtomicBool,
    /// Since when the client takes no more output.
    refused: OnceLock<Instant>,
}

impl Channel {
    pub(crate) fn new(outgoing: Outgoing, theirs: u32, room: u32, most_data: u32) -> Self {
        Self(Arc::new(Shared {
            outgoing,
            theirs,
            most_data: most_data.clamp(1, MOST_DATA),
            room: AtomicU32::new(room),
            has_room: Notify::new(),
            window: AtomicU32::new(WINDOW),
            is_closed: AtomicBool::new(false),
            refused: OnceLock::new(),
        }))
    }

    /// The client takes no more output, though it has not closed the channel.
    pub(crate) fn stop_taking(&self) {
        self.0.refused.get_or_init(Instant::now);
        self.0.has_room.notify_one();
    }

    /// Since when the client takes no more output. `None` as long as it does.
    pub(crate) fn refused_since(&self) -> Option<Instant> {
        self.0.refused.get().copied()
    }

    /// The client takes so much more.
    pub(crate) fn add_room(&self, amount: u32) {
        let add = |room: u32| Some(room.saturating_add(amount));
        let _ = self
            .0
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        self.0.has_room.notify_one();
    }

    /// Counts data that the client has sent.
    pub(crate) fn count(&self, length: usize) -> Result<(), Error> {
        let left = |window: u32| window.checked_sub(u32::try_from(length).ok()?);
        let counted = self
            .0
            .window
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        counted
            .map(drop)
            .map_err(|_| Error::Client("sent more than it may"))
    }

    /// Lets the client send as much more as was taken.
    fn grant(&self, length: u32) {
        self.0.window.fetch_add(length, Ordering::Relaxed);
        self.answer(self.message(message::CHANNEL_WINDOW_ADJUST).u32(length));
    }

    /// Sends data, as the client takes it.
    pub(crate) async fn data(&self, kind: Kind, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let Some(room) = self.wait_for_room().await else {
                return;
            };
            let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let length = wanted.min(room).min(self.0.most_data);
            self.0.room.fetch_sub(length, Ordering::Relaxed);
            let part = bytes.split_to(length as usize);
            let message = match kind {
                Kind::Output => self.message(message::CHANNEL_DATA),
                Kind::Errors => self
                    .message(message::CHANNEL_EXTENDED_DATA)
                    .u32(message::STDERR),
            };
            self.send(message.string(part)).await;
        }
    }

    /// Returns how much the client takes, once it takes some. `None` if it takes no more.
    async fn wait_for_room(&self) -> Option<u32> {
        loop {
            match self.0.room.load(Ordering::Relaxed) {
                _ if self.refused_since().is_some() => return None,
                0 => self.0.has_room.notified().await,
                room => return Some(room),
            }
        }
    }

    /// Says that no more data comes.
    pub(crate) async fn end(&self) {
        self.send(self.message(message::CHANNEL_EOF)).await;
    }

    /// Says how the command ended.
    pub(crate) async fn exit_status(&self, code: i32) {
        let message = self
            .message(message::CHANNEL_REQUEST)
            .string("exit-status")
            .u8(0)
            .raw(&code.to_be_bytes());
        self.send(message).await;
    }

    /// Closes the channel, once.
    pub(crate) async fn close(&self) {
        if !self.0.is_closed.swap(true, Ordering::Relaxed) {
            let message = self.message(message::CHANNEL_CLOSE).done();
            self.0.outgoing.channel(message).await;
        }
    }

    /// Answers a request of the client.
    pub(crate) fn answer_request(&self, is_done: bool) {
        let number = match is_done {
            true => message::CHANNEL_SUCCESS,
            false => message::CHANNEL_FAILURE,
        };
        self.answer(self.message(number));
    }

    fn message(&self, number: u8) -> Writer {
        Writer::message(number).u32(self.0.theirs)
    }

    /// Sends what does not wait for data, unless the client has heard already that the channel is closed.
    fn answer(&self, message: Writer) {
        if !self.0.is_closed.load(Ordering::Relaxed) {
            self.0.outgoing.answer(message.done());
        }
    }

    async fn send(&self, message: Writer) {
        if !self.0.is_closed.load(Ordering::Relaxed) {
            self.0.outgoing.channel(message.done()).await;
        }
    }
}
