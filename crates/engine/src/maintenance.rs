//! Looking at a data folder as a whole, and emptying it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use uuid::Uuid;

use super::disk::disk_use;
use super::engine::Core;
use super::folder::Folder;
use super::presence::Presence;
use super::{Error, Options, keeper, reserve};
use fastvm_sandbox::{self, LimitsSupport, Machine, Mode};

/// What is in a data folder, and what this computer can do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How users in VMs map to users of this computer.
    pub mode: Mode,
    /// What holds VMs to their limits.
    pub limits: LimitsSupport,
    /// What holds VMs to the size of their disks, in words.
    pub disk_limits: &'static str,
    /// All VMs.
    pub vms: usize,
    /// Those of them that run.
    pub running: usize,
    /// All snapshots.
    pub snapshots: usize,
    /// What the whole folder takes on disk, in bytes.
    pub disk_bytes: u64,
    /// What there is to say about VMs that are paused for their disks, and about what was lost, one sentence each.
    pub notices: Vec<String>,
}

/// What holds VMs to the size of their disks: [`keeper`] does, on every file system.
const DISK_LIMITS: &str = "watched, a VM that outgrows its disk is paused";

/// Looks at a data folder; makes it when it is missing.
pub fn status(options: Options) -> Result<Status, Error> {
    status_of(&*Core::open(options, nowhere())?)
}

/// As [`status`], of an engine that is open.
pub(super) fn status_of(core: &Core) -> Result<Status, Error> {
    let (vms, running, snapshots) = core.counts()?;
    Ok(Status {
        mode: core.mode(),
        limits: core.limits(),
        disk_limits: DISK_LIMITS,
        vms,
        running,
        snapshots,
        disk_bytes: disk_use(core.data()),
        notices: core.notices()?,
    })
}

/// What a reset would end and remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// The data folder, without links and dots.
    pub folder: std::path::PathBuf,
    /// Whether there is a folder that engines have worked in.
    pub has_folder: bool,
    /// VMs that run.
    pub running: usize,
}

/// Looks at what a reset would end and remove, whatever state it is in. Changes nothing.
pub fn remains(options: &Options) -> Result<Remains, Error> {
    let folder = Folder::at(&options.data);
    let inits = fastvm_sandbox::find_inits(folder.root())?;
    Ok(Remains {
        has_folder: folder.is_ours(),
        running: inits.len(),
        folder: folder.root().to_owned(),
    })
}

/// What a reset has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// How many VMs ran and were ended.
    pub ended: usize,
}

/// Kills all VMs and removes all that a data folder holds, the key and the folder included.
///
/// VMs are found by the marks of their processes and by their sockets, so it needs neither a sound database nor the
/// folder itself. What cannot be removed does not keep the rest. Refused while an engine works on the folder.
pub fn reset(options: Options) -> Result<Reset, Error> {
    fastvm_sandbox::let_large_writes_fail();
    let data = options.data;
    let folder = Folder::at(&data);
    let mut presence = None;
    if folder.root().exists() {
        folder.check_owner()?;
        if folder.is_ours() {
            reserve::give_up(&folder);
            presence = Some(Presence::take_alone(&folder)?);
        }
    }
    keeper::end(&folder)?;
    let ended = end_machines(&folder)?;
    fastvm_sandbox::remove_groups(folder.root());
    if presence.is_some() {
        let mut outcome = Ok(());
        for path in folder.everything() {
            if let Err(error) = fastvm_sandbox::remove_tree(&path) {
                outcome = Err(error);
            }
        }
        outcome?;
        // Files of others may be there: then the folder stays.
        fs::remove_dir(folder.root()).unwrap_or_default();
    }
    Ok(Reset { ended })
}

/// Ends what runs on a data folder, and returns how many VMs that were.
fn end_machines(folder: &Folder) -> Result<usize, Error> {
    let mut ended = BTreeSet::new();
    let mut outcome = Ok(());
    let mut note = |id: String, killed: Result<(), fastvm_sandbox::Error>| match killed {
        Ok(()) => drop(ended.insert(id)),
        // One that resists does not keep the others.
        Err(error) => outcome = Err(error),
    };
    for init in fastvm_sandbox::find_inits(folder.root())? {
        note(init.id().unwrap_or_default().to_owned(), init.kill());
    }
    // Those whose folder had another path when they were booted. What is no socket of a machine is not reached.
    for (run, id, nonce) in sockets(folder) {
        if let Ok(machine) = Machine::connect(&run, id, nonce) {
            note(id.to_string(), machine.kill());
        }
    }
    outcome?;
    Ok(ended.len())
}

/// The control sockets in a data folder: the folder of each, and the VM and the boot that it is of.
pub(super) fn sockets(folder: &Folder) -> Vec<(std::path::PathBuf, Uuid, Uuid)> {
    let entries = |path: &Path| {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
    };
    let mut found = Vec::new();
    for vm in entries(&folder.vms()) {
        let Some(id) = vm
            .file_name()
            .to_str()
            .and_then(|name| Uuid::try_parse(name).ok())
        else {
            continue;
        };
        for file in entries(&vm.path()) {
            let name = file.file_name();
            let nonce = name.to_str().and_then(|name| {
                let (start, nonce) = name.split_once('-')?;
                let is_socket = id.simple().to_string().starts_with(start) && nonce.len() == 32;
                is_socket.then(|| nonce.parse().ok())?
            });
            if let Some(nonce) = nonce {
                found.push((vm.path(), id, nonce));
            }
        }
    }
    found
}

/// Where nobody listens.
pub(super) fn nowhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
