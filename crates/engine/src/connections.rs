//! How many connections there may be. Each takes descriptors, of which a process has only so many.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many descriptors an engine may have open, where the system lets it.
const DESCRIPTOR_LIMIT: u64 = 65_536;

/// Descriptors that connections of one VM may take, where that is not more than its share.
const VM_DESCRIPTOR_LIMIT: usize = 512;

/// The share of all VMs in the descriptors of the engine, and of one VM in those of all.
const GUEST_SHARE: usize = 2;
const VM_SHARE: usize = 8;

/// Connections to the API that may be open without having shown a key, where that is not more than their share.
const UNAUTHENTICATED_LIMIT: usize = 1024;
const UNAUTHENTICATED_LEAST: usize = 16;
const UNAUTHENTICATED_SHARE: usize = 8;

/// How long to wait before accepting again when the system has no descriptor or memory for a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// How many connections of each kind there may be.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    /// Descriptors for connections of all VMs.
    guests: Arc<Semaphore>,
    /// Descriptors for those of one VM.
    per_vm: usize,
    /// Connections to the API without a key.
    pub(crate) unauthenticated: usize,
}

/// How many connections one VM may have, to the doors and the proxy together.
#[derive(Clone, Debug)]
pub(crate) struct VmConnections {
    own: Arc<Semaphore>,
    guests: Arc<Semaphore>,
}

/// What a connection takes of the limits until it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    _own: OwnedSemaphorePermit,
    _guests: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    /// Returns the limits for a process that may open so many descriptors.
    pub(crate) fn new(descriptors: usize) -> Self {
        let guests = descriptors / GUEST_SHARE;
        Self {
            guests: Arc::new(Semaphore::new(guests)),
            per_vm: (guests / VM_SHARE).clamp(2, VM_DESCRIPTOR_LIMIT),
            unauthenticated: (descriptors / UNAUTHENTICATED_SHARE)
                .clamp(UNAUTHENTICATED_LEAST, UNAUTHENTICATED_LIMIT),
        }
    }

    /// Returns the limit of one more VM.
    pub(crate) fn of_one_vm(&self) -> VmConnections {
        VmConnections {
            own: Arc::new(Semaphore::new(self.per_vm)),
            guests: self.guests.clone(),
        }
    }
}

impl VmConnections {
    /// Waits until the VM may have a connection more that takes so many descriptors. `None` never comes while the engine runs.
    pub(crate) async fn admit(&self, descriptors: u32) -> Option<Admission> {
        Some(Admission {
            _own: self
                .own
                .clone()
                .acquire_many_owned(descriptors)
                .await
                .ok()?,
            _guests: self
                .guests
                .clone()
                .acquire_many_owned(descriptors)
                .await
                .ok()?,
        })
    }
}

/// Raises the limit of open descriptors, and returns what it is then: the usual one is made for programs that need few.
///
/// What cannot be raised stays: then many VMs at once are refused, which says why.
pub(crate) fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(DESCRIPTOR_LIMIT, |most| most.min(DESCRIPTOR_LIMIT));
    let Some(current) = limit.current else {
        return DESCRIPTOR_LIMIT as usize;
    };
    if current >= wanted {
        return current.min(DESCRIPTOR_LIMIT) as usize;
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted as usize,
        Err(_) => current as usize,
    }
}

/// Accepts the next connection, however long that takes.
pub(crate) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Others must end first.
            Err(_) => tokio::time::sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_vm_cannot_take_what_others_need() {
        let limits = ConnectionLimits::new(64);
        let (greedy, modest) = (limits.of_one_vm(), limits.of_one_vm());
        let mut held = Vec::new();
        while let Some(admission) = greedy.admit(1).now_or_never() {
            held.push(admission);
        }
        assert_eq!(held.len(), 64 / GUEST_SHARE / VM_SHARE);
        assert!(modest.admit(2).now_or_never().is_some());
        held.pop();
        assert!(greedy.admit(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn all_vms_together_leave_the_engine_its_half() {
        let limits = ConnectionLimits::new(64);
        let vms: Vec<_> = (0..100).map(|_| limits.of_one_vm()).collect();
        let held: Vec<_> = vms
            .iter()
            .filter_map(|vm| vm.admit(1).now_or_never())
            .collect();
        assert_eq!(held.len(), 64 / GUEST_SHARE);
    }
}
