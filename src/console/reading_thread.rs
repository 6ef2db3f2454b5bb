//! An input read by a thread, for what cannot be waited for in another way.
//!
//! The thread is in a read when the console has ended. It is not waited for, and ends with the program.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
const READ: usize = 4 * 1024;
/// How many reads may wait.
const QUEUE: usize = 16;

/// What the thread has read. It ends as the input does.
#[derive(Debug)]
pub(super) struct ReadingThread {
    reads: mpsc::Receiver<io::Result<Vec<u8>>>,
    /// What was read and did not fit.
    rest: Vec<u8>,
}

impl ReadingThread {
    /// Begins to read: `read` waits for bytes and returns how many there are, none at the end.
    ///
    /// # Errors
    /// A system that has no thread to give.
    pub(super) fn start(
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, reads) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("keyboard".to_owned())
            .spawn(move || pass_on(&mut read, &queue))?;
        Ok(Self {
            reads,
            rest: Vec::new(),
        })
    }
}

fn pass_on(
    read: &mut impl FnMut(&mut [u8]) -> io::Result<usize>,
    queue: &mpsc::Sender<io::Result<Vec<u8>>>,
) {
    let mut buffer = vec![0; READ];
    loop {
        let read = match read(&mut buffer) {
            Ok(0) => return,
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

impl AsyncRead for ReadingThread {
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// An input that gives one of these at each read.
    fn start(mut reads: Vec<io::Result<&'static [u8]>>) -> ReadingThread {
        reads.reverse();
        let read = move |buffer: &mut [u8]| match reads.pop() {
            Some(Ok(bytes)) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
            Some(Err(error)) => Err(error),
            None => Ok(0),
        };
        ReadingThread::start(read).unwrap()
    }

    #[tokio::test]
    async fn all_that_is_read_comes_in_its_order_until_the_end() {
        let interrupted = Err(io::ErrorKind::Interrupted.into());
        let mut input = start(vec![Ok(b"abc"), interrupted, Ok(b"de")]);
        let mut small = [0; 2];
        input.read_exact(&mut small).await.unwrap();
        assert_eq!(&small, b"ab");
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"cde");
    }

    #[tokio::test]
    async fn a_failed_read_fails_after_what_came_before_it() {
        let mut input = start(vec![Ok(b"abc"), Err(io::ErrorKind::NotConnected.into())]);
        let mut all = Vec::new();
        let failed = input.read_to_end(&mut all).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::NotConnected);
        assert_eq!(all, b"abc");
    }
}
