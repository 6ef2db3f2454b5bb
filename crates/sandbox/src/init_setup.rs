//! The last of what pid 1 does in the root of its machine before it serves.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::CpuSet;

use super::boot_error::{Failure, Step};
use super::cgroup::{Membership, PROCESSES};
use super::kernel;
use super::message::BootPlan;
use super::syscall_filter;

/// The limit of open files that programs inside get; init itself takes all it may.
///
/// The kernel counts the descriptors that all processes of a user have under way in sockets, and stops each process
/// at its own limit. With half of what the engine has, programs inside cannot keep it from passing descriptors.
static OPEN_FILES: OnceLock<Rlimit> = OnceLock::new();

/// What is left to do in the root of the machine before it is ready.
pub(super) fn prepare(
    plan: &BootPlan,
    control: &OwnedFd,
    groups: &Membership,
) -> Result<(), Failure> {
    rustix::system::sethostname(plan.hostname.as_bytes()).step("host name")?;
    kernel::raise_loopback().step("loopback interface")?;
    limit_processors(plan).step("processors")?;
    groups.enter_late().step("control group")?;
    rustix::process::setsid().step("new session")?;
    rustix::thread::set_name(c"init").step("name of init")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("protection of init")?;
    let files = getrlimit(Resource::Nofile);
    OPEN_FILES.get_or_init(|| half(&files));
    let all = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    setrlimit(Resource::Nofile, all).step("open files")?;
    limit_processes(plan).step("process limits")?;
    // A machine of root has it since before its root file system was built.
    if plan.first_user.is_none() {
        syscall_filter::install(None).step("filter of system calls")?;
    }
    // Listening here, not in the engine, makes init the peer that the kernel names to who connects.
    rustix::net::listen(control, 4096).step("control socket")?;
    rustix::io::ioctl_fionbio(control, true).step("control socket")
}

fn half(limit: &Rlimit) -> Rlimit {
    let most = limit.current.or(limit.maximum).map(|most| most / 2);
    Rlimit {
        current: most,
        maximum: most,
    }
}

/// Programs may undo this; where there is a control group for processors they gain nothing by it.
fn limit_processors(plan: &BootPlan) -> io::Result<()> {
    if plan.processors.is_empty() {
        return Ok(());
    }
    let mut chosen = CpuSet::new();
    for processor in &plan.processors {
        chosen.set(*processor);
    }
    Ok(rustix::thread::sched_setaffinity(None, &chosen)?)
}

/// These hold everywhere: the kernel counts processes for each user of a user namespace. Memory can be
/// limited for each process alone, which is done only where there is no control group.
fn limit_processes(plan: &BootPlan) -> io::Result<()> {
    lower(Resource::Nproc, PROCESSES)?;
    if plan.groups.is_empty() && plan.memory_mib > 0 {
        lower(Resource::Data, plan.memory_mib.saturating_mul(1024 * 1024))?;
    }
    Ok(())
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let maximum = getrlimit(resource)
        .maximum
        .map_or(limit, |old| old.min(limit));
    let new = Rlimit {
        current: Some(maximum),
        maximum: Some(maximum),
    };
    Ok(setrlimit(resource, new)?)
}

/// The limit of open files for a program inside.
pub(super) fn open_files() -> Option<Rlimit> {
    OPEN_FILES.get().copied()
}
