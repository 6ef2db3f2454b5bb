//! What goes to the client, in an order that the protocol allows.

use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use crate::Error;
use crate::message;
use crate::packet::{NewKey, PacketWriter};

/// How many messages of channels may wait. Each is at most a packet long.
const QUEUE: usize = 16;

/// A message about keys, or the key for all that follows.
pub(crate) enum AboutKeys {
    Message(Vec<u8>),
    Key(NewKey),
}

/// The ways to the client. Where it is gone, nobody needs to know: the connection ends by what is read.
#[derive(Clone)]
pub(crate) struct Outgoing {
    keys: mpsc::UnboundedSender<AboutKeys>,
    answers: mpsc::UnboundedSender<Vec<u8>>,
    channels: mpsc::Sender<Vec<u8>>,
}

/// The other end of them.
pub(crate) struct Queues {
    keys: mpsc::UnboundedReceiver<AboutKeys>,
    answers: mpsc::UnboundedReceiver<Vec<u8>>,
    channels: mpsc::Receiver<Vec<u8>>,
}

pub(crate) fn queues() -> (Outgoing, Queues) {
    let (keys, from_keys) = mpsc::unbounded_channel();
    let (answers, from_answers) = mpsc::unbounded_channel();
    let (channels, from_channels) = mpsc::channel(QUEUE);
    let outgoing = Outgoing {
        keys,
        answers,
        channels,
    };
    let queues = Queues {
        keys: from_keys,
        answers: from_answers,
        channels: from_channels,
    };
    (outgoing, queues)
}

impl Outgoing {
    /// Sends a message about keys before all others.
    pub(crate) fn keys(&self, about: AboutKeys) {
        let _ = self.keys.send(about);
    }

    /// Sends an answer, before what channels send. There is one at most for each message of the client, and one for data that was taken.
    pub(crate) fn answer(&self, message: Vec<u8>) {
        let _ = self.answers.send(message);
    }

    /// Sends a message of a channel, in the order of that channel.
    pub(crate) async fn channel(&self, message: Vec<u8>) {
        let _ = self.channels.send(message).await;
    }
}

/// Sends until all that could send is gone. From the proposal of new keys until they are there nothing else goes out.
pub(crate) async fn run<W: AsyncWrite + Unpin>(
    mut queues: Queues,
    mut writer: PacketWriter<W>,
) -> Result<(), Error> {
    let mut has_keys = false;
    loop {
        let next = tokio::select! {
            biased;
            Some(about) = queues.keys.recv() => about,
            Some(message) = queues.answers.recv(), if has_keys => AboutKeys::Message(message),
            Some(message) = queues.channels.recv(), if has_keys => AboutKeys::Message(message),
            else => return writer.flush().await,
        };
        match next {
            AboutKeys::Message(message) => {
                has_keys &= message.first() != Some(&message::KEXINIT);
                writer.put(&message).await?;
            }
            AboutKeys::Key(key) => {
                writer.set_key(&key);
                has_keys = true;
            }
        }
        let is_all = queues.answers.is_empty() && queues.channels.is_empty();
        if queues.keys.is_empty() && (is_all || !has_keys) {
            writer.flush().await?;
        }
    }
}
