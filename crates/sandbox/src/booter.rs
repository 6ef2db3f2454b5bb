//! The short-lived process between the engine and init. It has one thread, so it may fork; it enters
//! the namespaces, forks pid 1 and goes.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;

use super::boot_error::{Failure, Step};
use super::cgroup::{self, Membership};
use super::handles::Handles;
use super::kernel::{self, Fork};
use super::message::{BootPlan, BootReport};
use super::tree::{Owners, USERS};
use super::{
    guest_root, init, init_setup, kernel_limits, overlay, program_file, socket, syscall_filter,
    terminal,
};

/// How the engine calls this program when it is to be a booter.
pub(super) const BOOTER: &str = "fastvm-booter";
/// How the booter calls itself once it runs from a file that nobody inside can change; processes inside see pid 1 under it.
pub const INIT: &str = "fastvm-init";
/// How the kernel calls users that a user namespace does not know.
const UNMAPPED_USER: u32 = 65534;
/// How long one process of a start waits for another.
pub(super) const BOOT_STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Becomes the booter, then init, if that is what this process was started for; it comes back from
/// that only to exit. Must be called before anything else is done, and costs two comparisons.
pub(super) fn intercept() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    let outcome = match name.to_str()? {
        BOOTER => restart(),
        INIT => run(),
        _ => return None,
    };
    Some(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// The first stage: nothing is done here but what it takes to run from another file.
fn restart() -> io::Result<()> {
    kernel::close_from(3, false)?;
    match restart_in_namespaces() {
        Ok(never) => match never {},
        Err(failure) => tell_failure(rustix::stdio::stdin(), failure),
    }
}

fn restart_in_namespaces() -> Result<Infallible, Failure> {
    if Owners::of_this_user() == Owners::Same {
        let user = rustix::process::geteuid().as_raw();
        let user_group = rustix::process::getegid().as_raw();
        let limits = kernel_limits::shares();
        kernel::unshare(UnshareFlags::NEWUSER).step("new user namespace")?;
        fs::write("/proc/self/setgroups", "deny").step("user namespace without groups")?;
        map_self(user, user_group).step("user mapping")?;
        // Root of the machine lives one user namespace below, and cannot raise them.
        kernel_limits::set(&limits);
        kernel::unshare(UnshareFlags::NEWNS).step("new namespaces")?;
    }
    let arguments = program_file::arguments(INIT).step("program file")?;
    program_file::restart(&arguments)
}

/// What every process of a start passes on to init.
struct Inherited {
    control: OwnedFd,
    report: OwnedFd,
    /// Holds the lock on the disk of the machine.
    disk_lock: OwnedFd,
    groups: Membership,
}

fn run() -> io::Result<()> {
    kernel::close_from(3, false)?;
    let report = take_socket()?;
    // The engine takes its time, and may find a reason not to start the machine.
    let Some((plan, descriptors)) =
        socket::receive::<BootPlan>(report.as_fd(), RecvFlags::empty())?
    else {
        return Ok(());
    };
    socket::set_timeout(report.as_fd(), Some(BOOT_STEP_TIMEOUT))?;
    match boot(&plan, &report, descriptors) {
        Ok(()) => Ok(()),
        Err(failure) => tell_failure(report.as_fd(), failure),
    }
}

fn boot(plan: &BootPlan, report: &OwnedFd, descriptors: Vec<OwnedFd>) -> Result<(), Failure> {
    let Ok([disk_lock, control]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return Err(io::Error::from(io::ErrorKind::InvalidData)).step("lock and control socket");
    };
    let inherited = Inherited {
        control,
        report: report.try_clone().step("report socket")?,
        disk_lock,
        groups: cgroup::enter(plan).step("control group")?,
    };
    match plan.first_user {
        Some(first) => boot_mapped(plan, first, inherited),
        None => boot_alone(plan, inherited),
    }
}

fn tell_failure(report: BorrowedFd<'_>, failure: Failure) -> io::Result<()> {
    socket::send(report, &failure.into_report(), &[])
}

/// The engine passed the report socket as standard input, the one way in which a descriptor reaches a child of a
/// threaded program and no other.
fn take_socket() -> io::Result<OwnedFd> {
    let report = kernel::take_standard_descriptor(0);
    let kept = rustix::io::fcntl_dupfd_cloexec(&report, 3)?;
    let null = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // It stays open for the life of the process.
    std::mem::forget(report);
    Ok(kept)
}

/// All but the user, the mount and the control group namespace; programs get the last one when they are in their groups.
const OWN_NAMESPACES: UnshareFlags = UnshareFlags::NEWPID
    .union(UnshareFlags::NEWUTS)
    .union(UnshareFlags::NEWIPC)
    .union(UnshareFlags::NEWNET);

/// An ordinary user: this process, root of a user namespace since its first stage, builds the root of the machine, and
/// goes on to a second user namespace, in which what it has built is locked.
fn boot_alone(plan: &BootPlan, inherited: Inherited) -> Result<(), Failure> {
    let root = overlay::build(plan, None)?;
    rustix::process::fchdir(&root).step("root file system")?;
    if plan.shields_groups {
        kernel_limits::keep_control_groups();
        kernel::unshare(UnshareFlags::NEWCGROUP).step("control group namespace")?;
    }
    kernel_limits::lower_own().step("limits of the user")?;
    kernel::unshare(UnshareFlags::NEWUSER).step("second user namespace")?;
    map_self(0, 0).step("second user mapping")?;
    kernel::unshare(OWN_NAMESPACES | UnshareFlags::NEWNS).step("new namespaces")?;
    match kernel::fork_into(inherited.groups.init()).step("fork of init")? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => leave_as_init(plan, inherited),
    }
}

fn map_self(user: u32, group: u32) -> io::Result<()> {
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Root: a child goes ahead into the namespaces while this process, which may still do everything,
/// maps its users and builds the root of the machine.
fn boot_mapped(plan: &BootPlan, first_user: u32, inherited: Inherited) -> Result<(), Failure> {
    let (ours, theirs) = socket::pair().step("socket pair")?;
    for side in [&ours, &theirs] {
        socket::set_timeout(side.as_fd(), Some(BOOT_STEP_TIMEOUT)).step("socket pair")?;
    }
    let terminals = terminal::mount_apart(first_user).step("mount of /dev/pts")?;
    // The child shares it, until it takes its locked copy.
    kernel::unshare(UnshareFlags::NEWNS).step("new mount namespace")?;
    let child = match kernel::fork_into(inherited.groups.init()).step("fork of the booter")? {
        Fork::Child => {
            drop(ours);
            let report = inherited.report.try_clone();
            if let Err(failure) = go_ahead(plan, inherited, &theirs)
                && let Ok(report) = report
            {
                tell_failure(report.as_fd(), failure).unwrap_or_default();
            }
            kernel::leave(0)
        }
        Fork::Parent(child) => child,
    };
    drop(theirs);
    let users = hear(&ours)
        .and_then(first)
        .step("answer of the new user namespace")?;
    let process = child.as_raw_nonzero();
    let mapping = format!("0 {first_user} {USERS}");
    fs::write(format!("/proc/{process}/uid_map"), &mapping).step("user mapping")?;
    fs::write(format!("/proc/{process}/gid_map"), &mapping).step("group mapping")?;
    let root = overlay::build(plan, Some((users.as_fd(), &terminals)))?;
    say(&ours, &[root.as_fd()]).step("answer to the booter")?;
    // From here on the child, or init, tells how it goes.
    rustix::process::waitpid(Some(child), WaitOptions::empty()).step("end of the booter")?;
    Ok(())
}

/// The child of [`boot_mapped`].
fn go_ahead(plan: &BootPlan, inherited: Inherited, parent: &OwnedFd) -> Result<(), Failure> {
    kernel_limits::become_owner(plan.id.0).step("owner of the user namespace")?;
    kernel::unshare(UnshareFlags::NEWUSER).step("new user namespace")?;
    // Opened here, because to open it from outside takes the right to trace this process.
    let users = fs::File::open("/proc/self/ns/user").step("user namespace")?;
    say(parent, &[users.as_fd()]).step("answer to the booter")?;
    kernel::unshare(OWN_NAMESPACES).step("new namespaces")?;
    // While the parent builds.
    syscall_filter::install(plan.first_user).step("filter of system calls")?;
    // A parent that is gone has told why.
    let Ok(root) = hear(parent).and_then(first) else {
        kernel::leave(1)
    };
    become_root().step("root of the user namespace")?;
    // The current folder moves to the copy with the process.
    rustix::process::fchdir(&root).step("root file system")?;
    kernel::unshare(UnshareFlags::NEWNS).step("new namespaces")?;
    match kernel::fork().step("fork of init")? {
        Fork::Parent(_) => Ok(()),
        Fork::Child => leave_as_init(plan, inherited),
    }
}

fn become_root() -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    Ok(())
}

fn enter(plan: &BootPlan, inherited: Inherited) -> Result<Handles, Failure> {
    let has_freezer = inherited.groups.programs.freezer.is_some();
    let inner = guest_root::enter(plan, !has_freezer)?;
    init_setup::prepare(plan, &inherited.control, &inherited.groups)?;
    Ok(Handles {
        control: inherited.control,
        disk_lock: inherited.disk_lock,
        program_groups: inherited.groups.programs,
        own_group_namespaces: !plan.shields_groups,
        proc: inner.proc,
        terminals: inner.terminals,
        null: inner.null,
    })
}

fn leave_as_init(plan: &BootPlan, inherited: Inherited) -> ! {
    let Ok(report) = inherited.report.try_clone() else {
        kernel::leave(1)
    };
    let handles = match enter(plan, inherited) {
        Ok(handles) => handles,
        Err(failure) => {
            tell_failure(report.as_fd(), failure).unwrap_or_default();
            kernel::leave(1)
        }
    };
    // An engine that has gone away or waited too long must not leave a machine that nobody knows.
    if socket::send(report.as_fd(), &BootReport::Ready, &[]).is_err()
        || kernel::close_all_but(&handles.all()).is_err()
    {
        kernel::leave(1)
    }
    std::mem::forget(report);
    // An ordinary user is root inside; the root outside has no number there.
    let engine = plan.first_user.map_or(0, |_| UNMAPPED_USER);
    init::serve(&handles, engine)
}

fn first(descriptors: Vec<OwnedFd>) -> io::Result<OwnedFd> {
    let found = descriptors.into_iter().next();
    found.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn say(to: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    socket::send(to.as_fd(), &(), descriptors)
}

fn hear(from: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    socket::receive::<()>(from.as_fd(), RecvFlags::empty())?
        .map(|(_, descriptors)| descriptors)
        .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))
}
