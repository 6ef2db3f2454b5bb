//! What init holds open, so that it never looks up a path that root inside could have put something else on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::cgroup::ProgramGroups;

/// The descriptors that init keeps for its whole life.
#[derive(Debug)]
pub(super) struct Handles {
    /// Where the engine connects.
    pub(super) control: OwnedFd,
    /// Never used, only held: while it is open the disk of the machine is locked.
    pub(super) disk_lock: OwnedFd,
    pub(super) program_groups: ProgramGroups,
    /// Whether each program gets a control group namespace.
    pub(super) own_group_namespaces: bool,
    /// A detached copy of `/proc`, where there is no freezer.
    pub(super) proc: Option<OwnedFd>,
    /// The folder `/dev/pts`.
    pub(super) terminals: OwnedFd,
    /// The device `/dev/null`.
    pub(super) null: OwnedFd,
}

impl Handles {
    /// Returns all of them, and the standard streams.
    pub(super) fn all(&self) -> Vec<BorrowedFd<'_>> {
        let own = [&self.control, &self.disk_lock, &self.terminals, &self.null];
        let streams = [
            rustix::stdio::stdin(),
            rustix::stdio::stdout(),
            rustix::stdio::stderr(),
        ];
        own.into_iter()
            .chain(&self.proc)
            .map(AsFd::as_fd)
            .chain(self.program_groups.all())
            .chain(streams)
            .collect()
    }
}
