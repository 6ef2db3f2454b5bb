//! An output of a program, watched while it is silent and simply read while it is busy.
//!
//! A watched pipe wakes us for each write, which holds up a program that writes line by line far more than our reading
//! does. So a pipe from which much comes is taken off the watch and looked into now and then, until it is empty once.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::fcntl_setpipe_size;
use tokio::net::unix::pipe::Receiver;

/// What a busy pipe may hold, in bytes: so much a program is ahead of us before it waits.
const ROOM: usize = 1024 * 1024;
/// The same without root: the kernel makes all new pipes of a user tiny who has more than 64 MiB in them.
const MODEST_ROOM: usize = 256 * 1024;

/// The reading end of a pipe. It never blocks.
#[derive(Debug)]
pub(super) struct OutputPipe {
    state: State,
    is_roomy: bool,
}

#[derive(Debug)]
enum State {
    Watched(Receiver),
    Unwatched(OwnedFd),
    /// It could not be watched again.
    Broken,
}

impl OutputPipe {
    /// Watches a pipe of a process.
    pub(super) fn watch(pipe: &OwnedFd) -> io::Result<Self> {
        let receiver = Receiver::from_owned_fd(pipe.as_fd().try_clone_to_owned()?)?;
        Ok(Self {
            state: State::Watched(receiver),
            is_roomy: false,
        })
    }

    /// Returns whether it is only looked into.
    pub(super) fn is_unwatched(&self) -> bool {
        matches!(self.state, State::Unwatched(_))
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) {
        match &self.state {
            State::Watched(receiver) => drop(receiver.readable().await),
            State::Unwatched(_) => {}
            State::Broken => pending().await,
        }
    }

    /// Reads what is there; 0 is the end. One that is empty is watched again.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fd = match &self.state {
            State::Watched(receiver) => return receiver.try_read(buffer),
            State::Unwatched(fd) => fd,
            State::Broken => return Ok(0),
        };
        match rustix::io::read(fd, buffer) {
            Err(rustix::io::Errno::AGAIN) => {
                if let State::Unwatched(fd) = std::mem::replace(&mut self.state, State::Broken) {
                    self.state = State::Watched(Receiver::from_owned_fd(fd)?);
                }
                Err(io::ErrorKind::WouldBlock.into())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Takes it off the watch: much comes, and there is something again when it is looked into next.
    pub(super) fn unwatch(&mut self) -> io::Result<()> {
        self.make_room();
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Watched(receiver) => State::Unwatched(receiver.into_nonblocking_fd()?),
            other => other,
        };
        Ok(())
    }

    /// Lets a program get ahead of us.
    pub(super) fn make_room(&mut self) {
        if std::mem::replace(&mut self.is_roomy, true) {
            return;
        }
        let room = match rustix::process::geteuid().is_root() {
            true => ROOM,
            false => MODEST_ROOM,
        };
        // Where the system has less to give, the pipe stays as it is.
        let _ = match &self.state {
            State::Watched(receiver) => fcntl_setpipe_size(receiver, room),
            State::Unwatched(fd) => fcntl_setpipe_size(fd, room),
            State::Broken => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn a_pipe_gives_the_same_bytes_watched_and_unwatched() {
        let (reader, writer) = io::pipe().unwrap();
        let mut writer = std::fs::File::from(OwnedFd::from(writer));
        let mut pipe = OutputPipe::watch(&reader.into()).unwrap();
        let mut buffer = [0; 8];
        writer.write_all(b"one").unwrap();
        pipe.readable().await;
        assert_eq!(pipe.read(&mut buffer).unwrap(), 3);
        pipe.unwatch().unwrap();
        writer.write_all(b"two").unwrap();
        pipe.readable().await;
        assert_eq!(pipe.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"two");
        let empty = pipe.read(&mut buffer).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        assert!(!pipe.is_unwatched());
        writer.write_all(b"three").unwrap();
        pipe.readable().await;
        assert_eq!(pipe.read(&mut buffer).unwrap(), 5);
        drop(writer);
        pipe.readable().await;
        assert_eq!(pipe.read(&mut buffer).unwrap(), 0);
    }
}
