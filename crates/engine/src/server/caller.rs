//! Who is at the other end of a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Who sent a request; every request carries it.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// A program on this computer, or beyond where we listen there.
    Client(Arc<Client>),
    /// A program in the VM of this id.
    Vm(Arc<str>),
}

impl Caller {
    /// Notes that the caller has shown a key, signature or token that is good.
    pub(crate) fn authenticate(&self) {
        if let Self::Client(client) = self {
            client.unauthenticated.remove(client.number);
        }
    }

    /// Returns the id of the VM that the caller is in.
    pub(crate) fn vm_id(&self) -> Option<&str> {
        match self {
            Self::Client(_) => None,
            Self::Vm(id) => Some(id),
        }
    }
}

/// The connection of a client.
#[derive(Debug)]
pub(crate) struct Client {
    number: u64,
    unauthenticated: Arc<Unauthenticated>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.unauthenticated.remove(self.number);
    }
}

/// The connections on which nothing was shown yet. When there are too many the oldest is ended: who has the key shows it
/// at once.
#[derive(Debug)]
pub(super) struct Unauthenticated {
    limit: usize,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    next: u64,
    /// By age. Sending ends one.
    open: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Unauthenticated {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            connections: Mutex::default(),
        })
    }

    /// Adds a connection. It has to end when something is received.
    pub(super) fn add(self: &Arc<Self>) -> (Client, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let mut connections = self.connections();
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, end);
        if connections.open.len() > self.limit
            && let Some((_, oldest)) = connections.open.pop_first()
        {
            // One that has ended by itself is fine.
            oldest.send(()).ok();
        }
        let client = Client {
            number,
            unauthenticated: self.clone(),
        };
        (client, ended)
    }

    fn remove(&self, number: u64) {
        self.connections().open.remove(&number);
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_has_shown_nothing_is_ended_when_there_are_too_many() {
        let unauthenticated = Unauthenticated::new(2);
        let (first, mut first_ended) = unauthenticated.add();
        Caller::Client(Arc::new(first)).authenticate();
        let (_second, mut second_ended) = unauthenticated.add();
        let (third, mut third_ended) = unauthenticated.add();
        let (_fourth, mut fourth_ended) = unauthenticated.add();
        assert_eq!(second_ended.try_recv(), Ok(()));
        assert!(first_ended.try_recv().is_err());
        drop(third);
        let (_fifth, _) = unauthenticated.add();
        assert!(third_ended.try_recv().is_err());
        assert!(fourth_ended.try_recv().is_err());
    }
}
