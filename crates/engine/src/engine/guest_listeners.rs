//! The engine inside a VM's own network: the same port of 127.0.0.1 as outside, so that a signed URL is good in both.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::task::AbortHandle;

use super::Core;
use super::machines::Known;
use crate::connections::{ConnectionLimits, VmConnections};

/// Answers on a listener in a VM until the handle says to end.
pub(crate) type Answer = Box<dyn Fn(Guest, OwnedFd) -> io::Result<AbortHandle> + Send + Sync>;

/// The VM that a listener is in.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) id: Arc<str>,
    /// How many connections it may have, to all doors.
    pub(crate) connections: VmConnections,
}

/// The ports that this engine has in VMs, who answers there, and how many may call.
#[derive(Default)]
pub(super) struct GuestListeners {
    set: OnceLock<(Vec<(u16, Answer)>, ConnectionLimits)>,
}

impl fmt::Debug for GuestListeners {
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

/// The doors in one boot of one VM.
#[derive(Debug, Default)]
pub(super) struct OpenListeners(Mutex<OpenInVm>);

#[derive(Debug, Default)]
struct OpenInVm {
    guest: Option<Guest>,
    /// In the order of [`GuestListeners`].
    listeners: Vec<Option<Open>>,
}

impl Core {
    /// Says once who answers on which port in each VM.
    pub(crate) fn set_doors(&self, answers: Vec<(u16, Answer)>, limits: ConnectionLimits) {
        // A second caller would be a mistake of ours and changes nothing.
        self.listeners.set.set((answers, limits)).ok();
    }

    /// Opens the doors in a VM that are not open yet.
    ///
    /// A port that a program in the VM has taken before us is not ours there: then signed URLs work outside only.
    pub(super) fn open_doors(&self, id: &str, known: &Known) {
        let Some((answers, limits)) = self.listeners.set.get() else {
            return;
        };
        let mut open = known
            .listeners
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let OpenInVm { guest, listeners } = &mut *open;
        let guest = guest.get_or_insert_with(|| Guest {
            id: id.into(),
            connections: limits.of_one_vm(),
        });
        listeners.resize_with(answers.len(), || None);
        let closed: Vec<_> = answers
            .iter()
            .zip(listeners.iter_mut())
            .filter(|(_, door)| door.is_none())
            .collect();
        let ports: Vec<u16> = closed.iter().map(|((port, _), _)| *port).collect();
        let listeners = known.machine.listen_all(&ports);
        for (((_, answer), door), listener) in closed.into_iter().zip(listeners) {
            if let Ok(listener) = listener {
                *door = answer(guest.clone(), listener).ok().map(Open);
            }
        }
    }
}
