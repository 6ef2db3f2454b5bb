//! A way out that never holds up the program: a thread writes, so that signals are heard while nobody reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::{fmt, io};

use tokio::sync::{mpsc, oneshot};

use super::messages::Messages;
use super::nonblocking_stderr::NonBlockingStderr;
use super::shared_buffer::{Channel, Piece, SharedBuffer, Stream};
use super::ui::Ui;
use crate::error::{Error, Kind};

/// How much is collected before it has to be drained, in bytes.
const FULL: usize = 256 * 1024;
/// How many drained portions may wait for the thread: with [`FULL`] the bound of its memory.
const QUEUE: usize = 4;
/// How much is written at once, in bytes: so often it shows that somebody reads.
const AT_ONCE: usize = 64 * 1024;
/// When a single write takes so long, nobody reads.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// The output streams of a [`Ui`] while a thread writes them.
///
/// What is printed meanwhile is collected in its order, and goes out with [`StdoutWriter::drain`]. Dropping this without
/// [`StdoutWriter::close`] leaves the thread to itself; the Ui then talks only where that does not block.
pub struct StdoutWriter {
    messages: Arc<Messages>,
    collected: Arc<SharedBuffer>,
    queue: mpsc::Sender<Vec<Piece>>,
    shared: Arc<Shared>,
    ended: oneshot::Receiver<Streams>,
    is_closed: bool,
}

/// What the thread tells while it works.
#[derive(Debug, Default)]
struct Shared {
    /// Counts the beginning and the end of each write: odd while one is under way.
    steps: AtomicUsize,
    failure: Mutex<Option<(Channel, io::Error)>>,
}

/// The streams, which the thread gives back at its end.
struct Streams {
    stdout: Stream,
    stderr: Stream,
}

impl StdoutWriter {
    /// Takes the streams of a Ui.
    ///
    /// # Errors
    /// A stdout that takes no more, and a system that has no thread to give.
    pub fn open(ui: &mut Ui) -> Result<Self, Error> {
        ui.flush()?;
        let collected = Arc::new(SharedBuffer::default());
        let (queue, portions) = mpsc::channel(QUEUE);
        let (end, ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let streams = Streams {
            stdout: std::mem::replace(ui.stdout.get_mut(), collected.end_for(Channel::Stdout)),
            stderr: ui.messages.exchange(collected.end_for(Channel::Stderr)),
        };
        let told = shared.clone();
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || end.send(streams.written(portions, &told)).ok())
            .map_err(|error| Error::new(Kind::LocalIo, format!("cannot print: {error}")))?;
        Ok(Self {
            messages: ui.messages(),
            collected,
            queue,
            shared,
            ended,
            is_closed: false,
        })
    }

    /// Returns whether so much is collected that it should be drained before more is printed.
    pub fn is_full(&self) -> bool {
        self.collected.len() >= FULL
    }

    /// Hands over what was printed, waiting while the thread is behind. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// A stream that takes no more.
    pub async fn drain(&self) -> Result<(), Error> {
        if self.collected.len() == 0 {
            return Ok(());
        }
        match self.queue.reserve().await {
            Ok(room) => {
                room.send(self.collected.take());
                Ok(())
            }
            Err(_) => self.shared.outcome(),
        }
    }

    /// Watches for a reader who does not read.
    pub fn stall(&self) -> Stall {
        Stall(self.shared.clone())
    }

    /// Waits until all is written, and gives the streams back.
    ///
    /// # Errors
    /// A stream that takes no more.
    pub async fn close(mut self, ui: &mut Ui) -> Result<(), Error> {
        ui.flush()?;
        // Why the thread takes nothing more it says at its end.
        let _ = self.drain().await;
        // Without a sender the thread ends.
        self.queue = mpsc::channel(1).0;
        if let Ok(streams) = (&mut self.ended).await {
            *ui.stdout.get_mut() = streams.stdout;
            self.messages.exchange(streams.stderr);
            self.is_closed = true;
        }
        self.shared.outcome()
    }
}

/// Knows whether the thread of an [`StdoutWriter`] gets on.
#[derive(Debug)]
pub struct Stall(Arc<Shared>);

impl Stall {
    /// Waits until a write has been stuck for half a second.
    pub async fn wait(&self) {
        let mut before = self.0.steps.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(WRITE_TIMEOUT).await;
            let now = self.0.steps.load(Ordering::Relaxed);
            if now == before && now % 2 == 1 {
                return;
            }
            before = now;
        }
    }
}

impl Drop for StdoutWriter {
    fn drop(&mut self) {
        if !self.is_closed {
            self.messages.exchange(Box::new(NonBlockingStderr));
        }
    }
}

impl fmt::Debug for StdoutWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Streams {
    /// Writes what comes until nothing more can come, or it cannot be written.
    fn written(mut self, mut portions: mpsc::Receiver<Vec<Piece>>, shared: &Shared) -> Self {
        while let Some(pieces) = portions.blocking_recv() {
            for piece in pieces {
                if let Err(error) = self.write(&piece, shared) {
                    let mut failure = shared
                        .failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    *failure = Some((piece.channel, error));
                    return self;
                }
            }
        }
        self
    }

    fn write(&mut self, piece: &Piece, shared: &Shared) -> io::Result<()> {
        let stream = match piece.channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        };
        for bytes in piece.bytes.chunks(AT_ONCE) {
            shared.steps.fetch_add(1, Ordering::Relaxed);
            stream.write_all(bytes)?;
            stream.flush()?;
            shared.steps.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Shared {
    /// Why the thread stopped early, if it did; told once.
    fn outcome(&self) -> Result<(), Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.take() {
            None => Ok(()),
            Some((Channel::Stdout, error)) => Err(super::Error::from(error).into()),
            Some((Channel::Stderr, error)) => Err(Error::new(
                Kind::LocalIo,
                format!("cannot write to stderr: {error}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::settings::Settings;
    use super::super::test_ui::ui;
    use super::super::ui::Streams as UiStreams;
    use super::*;

    #[tokio::test]
    async fn both_streams_go_out_in_order_and_come_back() {
        let (mut ui, stdout, stderr) = ui(Settings::default(), "");
        let writer = StdoutWriter::open(&mut ui).unwrap();
        ui.bytes(b"one").unwrap();
        ui.flush().unwrap();
        ui.warn("two");
        assert_eq!(
            (stdout.text(), stderr.text()),
            (String::new(), String::new())
        );
        writer.drain().await.unwrap();
        ui.bytes(b" three").unwrap();
        writer.close(&mut ui).await.unwrap();
        ui.line(" four").unwrap();
        ui.warn("five");
        assert_eq!(stdout.text(), "one three four\n");
        assert_eq!(stderr.text(), "warning: two\nwarning: five\n");
    }

    /// Tells when it is written to, and then blocks until the test lets go.
    struct Stuck(Sender<()>, Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_who_does_not_read_shows_and_blocks_nobody() {
        let (written, is_written) = channel();
        let (_keep, go_on) = channel();
        let mut ui = Ui::with_streams(
            Settings::default(),
            UiStreams {
                stdin: Box::new(io::empty()),
                stdout: Box::new(Stuck(written, go_on)),
                stderr: Box::new(io::sink()),
            },
        );
        let writer = StdoutWriter::open(&mut ui).unwrap();
        ui.bytes(b"text").unwrap();
        ui.flush().unwrap();
        writer.drain().await.unwrap();
        is_written.recv().unwrap();
        writer.stall().wait().await;
    }

    #[tokio::test]
    async fn a_closed_pipe_is_told_at_the_next_chance() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut ui = Ui::with_streams(
            Settings::default(),
            UiStreams {
                stdin: Box::new(io::empty()),
                stdout: Box::new(Closed),
                stderr: Box::new(io::sink()),
            },
        );
        let writer = StdoutWriter::open(&mut ui).unwrap();
        ui.bytes(b"text").unwrap();
        let failed = writer.close(&mut ui).await.unwrap_err();
        assert_eq!(failed.kind(), Kind::BrokenPipe);
    }
}
