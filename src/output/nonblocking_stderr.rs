//! A stderr that is written only while that blocks nobody, for last words when its reader does not read.

use std::io::{self, Write};

/// What a pipe that has any room takes at once, in bytes (POSIX).
#[cfg(unix)]
const ROOM: usize = 512;

/// The stderr of this process. Words that do not fit are lost.
#[derive(Debug)]
pub(super) struct NonBlockingStderr;

impl Write for NonBlockingStderr {
    #[cfg(unix)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        // Not through the standard library, whose lock may be held by a thread that is stuck.
        let stderr = rustix::stdio::stderr();
        let at_once = Timespec::default();
        let mut ends = [PollFd::new(&stderr, PollFlags::OUT)];
        match poll(&mut ends, Some(&at_once)) {
            Ok(1..) => Ok(rustix::io::write(stderr, &bytes[..bytes.len().min(ROOM)])?),
            _ => Ok(bytes.len()),
        }
    }

    #[cfg(not(unix))]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
