//! Where bytes for the command go.

use bytes::Bytes;
use tokio::sync::mpsc;

/// How many portions may wait to be sent.
const QUEUE: usize = 16;

/// The way to the command's input.
///
/// Only [`Input::finish`] ends the input. If this is dropped without it, the command never learns that nothing more comes.
#[derive(Clone, Debug)]
pub struct Input(mpsc::Sender<Portion>);

/// The command reads no more, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command reads no more")]
pub struct Closed;

#[derive(Debug)]
pub(crate) enum Portion {
    Bytes(Bytes),
    End,
}

pub(crate) fn channel() -> (Input, mpsc::Receiver<Portion>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Input(sender), receiver)
}

impl Input {
    /// Sends bytes, and waits while more is on its way than may be. Cancel-safe: they are sent wholly or not at all.
    ///
    /// # Errors
    /// [`Closed`], after which nothing more needs to be sent.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<(), Closed> {
        let portion = Portion::Bytes(bytes.into());
        self.0.send(portion).await.map_err(|_| Closed)
    }

    /// Ends the input: the command reads its end after all that was sent.
    ///
    /// # Errors
    /// [`Closed`], if the command does not read on anyway.
    pub async fn finish(self) -> Result<(), Closed> {
        self.0.send(Portion::End).await.map_err(|_| Closed)
    }
}
