//! Standard input, read only while something is there: no thread waits in a read when the console has ended, which
//! would hold up the end of the program and take the first keys that are meant for the shell.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};

/// The keys of the terminal on standard input.
#[derive(Debug)]
pub struct Keyboard(AsyncFd<Stdin>);

#[derive(Debug)]
struct Stdin;

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        rustix::stdio::raw_stdin()
    }
}

impl Keyboard {
    /// Watches standard input.
    ///
    /// # Errors
    /// A standard input that cannot be watched, as a file is.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; what it asks for holds: standard input stays open as long as the program"
    )]
    pub fn open() -> io::Result<Self> {
        AsyncFd::with_interest(Stdin, Interest::READABLE).map(Self)
    }
}

impl AsyncRead for Keyboard {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
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
