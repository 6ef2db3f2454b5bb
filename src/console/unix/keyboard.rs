//! Standard input, read only while something is there: no thread waits in a read when the console has ended, which
//! would hold up the end of the program and take the first keys that are meant for the shell. Only what cannot be watched
//! is read by a thread: macOS refuses to watch `/dev/tty`.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};

use super::super::reading_thread::ReadingThread;

/// The keys of the terminal on standard input.
#[derive(Debug)]
pub struct Keyboard(Input);

#[derive(Debug)]
enum Input {
    Watched(AsyncFd<Stdin>),
    Read(ReadingThread),
}

#[derive(Debug)]
struct Stdin;

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        rustix::stdio::raw_stdin()
    }
}

impl Keyboard {
    /// Watches standard input, or begins to read it.
    ///
    /// # Errors
    /// A system that has no thread to give.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; what it asks for holds: standard input stays open as long as the program"
    )]
    pub fn open() -> io::Result<Self> {
        match AsyncFd::with_interest(Stdin, Interest::READABLE) {
            Ok(watched) => Ok(Self(Input::Watched(watched))),
            Err(_not_watched) => Self::read_by_thread(),
        }
    }

    fn read_by_thread() -> io::Result<Self> {
        let read = |buffer: &mut [u8]| Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?);
        ReadingThread::start(read).map(|thread| Self(Input::Read(thread)))
    }
}

impl AsyncRead for Keyboard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Input::Watched(watched) => poll_watched(watched, context, buffer),
            Input::Read(thread) => Pin::new(thread).poll_read(context, buffer),
        }
    }
}

fn poll_watched(
    watched: &AsyncFd<Stdin>,
    context: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    loop {
        let mut guard = ready!(watched.poll_read_ready(context))?;
        match guard.try_io(|_| read(buffer.initialize_unfilled())) {
            Ok(Ok(count)) => {
                buffer.advance(count);
                return Poll::Ready(Ok(()));
            }
            Ok(Err(error)) => return Poll::Ready(Err(error)),
            Err(_nothing_there) => {}
        }
    }
}

/// Reads what is there. The terminal is shared with the shell, so it is not made nonblocking, but asked before.
fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = rustix::stdio::stdin();
    let at_once = Timespec::default();
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&at_once))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(rustix::io::read(stdin, buffer)?),
    }
}
