//! Standard input, read by a thread, as a console cannot be waited for in another way.
//!
//! The thread is in a read when the console has ended. It is not waited for, and ends with the program.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
const READ: usize = 4 * 1024;
/// How many reads may wait.
const QUEUE: usize = 16;
/// What the standard library takes for the end of a console.
const CTRL_Z: u8 = 0x1a;

/// The keys of the console on standard input.
#[derive(Debug)]
pub struct Keyboard {
    reads: mpsc::Receiver<io::Result<Vec<u8>>>,
    /// What was read and did not fit.
    rest: Vec<u8>,
}

impl Keyboard {
    /// Begins to read standard input.
    ///
    /// # Errors
    /// A system that has no thread to give.
    pub fn open() -> io::Result<Self> {
        let (queue, reads) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("keyboard".to_owned())
            .spawn(move || read(&queue))?;
        Ok(Self {
            reads,
            rest: Vec::new(),
        })
    }
}

fn read(queue: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; READ];
    loop {
        let read = match io::stdin().read(&mut buffer) {
            Ok(0) => Ok(vec![CTRL_Z]),
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if queue.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

impl AsyncRead for Keyboard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            match ready!(self.reads.poll_recv(context)) {
                Some(read) => self.rest = read?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Poll::Ready(Ok(()))
    }
}
