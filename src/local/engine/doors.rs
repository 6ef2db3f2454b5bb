//! The engine inside a VM's own network: the same port of 127.0.0.1 as outside, so that a signed URL is good in both.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::task::AbortHandle;

use super::Core;
use super::machines::Known;

/// Answers on a listener until the handle says to end.
pub(crate) type Answer = Box<dyn Fn(OwnedFd) -> io::Result<AbortHandle> + Send + Sync>;

/// The ports that this engine has in VMs, and who answers there.
#[derive(Default)]
pub(super) struct Doors {
    answers: OnceLock<Vec<(u16, Answer)>>,
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doors")
    }
}

/// A door in one VM. It closes when this goes: an open one would keep the network of a dead VM alive.
#[derive(Debug)]
struct Open(AbortHandle);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The doors in one boot of one VM, in the order of [`Doors`].
#[derive(Debug, Default)]
pub(super) struct OpenDoors(Mutex<Vec<Option<Open>>>);

impl Core {
    /// Says once who answers on which port in each VM.
    pub(crate) fn set_doors(&self, answers: Vec<(u16, Answer)>) {
        // A second caller would be a mistake of ours and changes nothing.
        self.doors.answers.set(answers).ok();
    }

    /// Opens the doors in a VM that are not open yet.
    ///
    /// A port that a program in the VM has taken before us is not ours there: then signed URLs work outside only.
    pub(super) fn open_doors(&self, known: &Known) {
        let answers = self.doors.answers.get().map_or(&[][..], Vec::as_slice);
        let mut open = known.doors.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.resize_with(answers.len(), || None);
        for ((port, answer), door) in answers.iter().zip(open.iter_mut()) {
            if door.is_none()
                && let Ok(listener) = known.machine.listen(*port)
            {
                *door = answer(listener).ok().map(Open);
            }
        }
    }
}
