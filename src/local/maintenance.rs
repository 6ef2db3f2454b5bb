//! Looking at a data folder as a whole, and emptying it.

use std::net::{Ipv4Addr, SocketAddr};

use super::engine::Core;
use super::folder::disk_use;
use super::sandbox::{LimitsSupport, Mode};
use super::{Error, Options};

/// What is in a data folder, and what this computer can do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How users in VMs map to users of this computer.
    pub mode: Mode,
    /// What holds VMs to their limits.
    pub limits: LimitsSupport,
    /// All VMs.
    pub vms: usize,
    /// Those of them that run.
    pub running: usize,
    /// All snapshots.
    pub snapshots: usize,
    /// What the whole folder takes on disk, in bytes.
    pub disk_bytes: u64,
}

/// Looks at a data folder; makes it when it is missing.
pub fn status(options: Options) -> Result<Status, Error> {
    let core = Core::open(options, nowhere())?;
    let (vms, running, snapshots) = core.counts()?;
    Ok(Status {
        mode: core.mode(),
        limits: core.limits(),
        vms,
        running,
        snapshots,
        disk_bytes: disk_use(core.data()),
    })
}

/// Kills all VMs and removes all that a data folder holds, the key and the folder included.
///
/// Refused while an engine works on it.
pub fn reset(options: Options) -> Result<(), Error> {
    if !options.data.exists() {
        return Ok(());
    }
    let core = Core::open(options, nowhere())?;
    core.take_alone()?;
    Ok(core.remove_everything()?)
}

/// Where nobody listens.
pub(super) fn nowhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
