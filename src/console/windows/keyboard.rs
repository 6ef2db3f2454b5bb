//! Standard input: nothing but a read waits for a console.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::super::reading_thread::ReadingThread;

/// What the standard library takes for the end of a console.
const CTRL_Z: u8 = 0x1a;

/// The keys of the console on standard input.
#[derive(Debug)]
pub struct Keyboard(ReadingThread);

impl Keyboard {
    /// Begins to read standard input.
    ///
    /// # Errors
    /// A system that has no thread to give.
    pub fn open() -> io::Result<Self> {
        let read = |buffer: &mut [u8]| match io::stdin().read(buffer)? {
            0 => {
                buffer[0] = CTRL_Z;
                Ok(1)
            }
            count => Ok(count),
        };
        ReadingThread::start(read).map(Self)
    }
}

impl AsyncRead for Keyboard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}
