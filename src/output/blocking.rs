//! Streams that wait for room, also where their descriptors do not: rsync hands pipes on that do not block.

use std::io::{self, Write};

/// A stream of this process, each write of which waits until something can be written.
#[derive(Debug)]
pub(super) struct Blocking<S>(pub(super) S);

#[cfg(unix)]
impl<S: Write + std::os::fd::AsFd> Blocking<S> {
    fn until_done<T>(&mut self, mut write: impl FnMut(&mut S) -> io::Result<T>) -> io::Result<T> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            match write(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(unix)]
impl<S: Write + std::os::fd::AsFd> Write for Blocking<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_done(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_done(S::flush)
    }
}

#[cfg(not(unix))]
impl<S: Write> Write for Blocking<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
