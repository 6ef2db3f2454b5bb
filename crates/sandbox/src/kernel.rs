//! The system calls that have no safe wrapper; every other file of the room is free of `unsafe`.

#![expect(
    unsafe_code,
    reason = "fork, exec, mount_setattr and a few others have no safe form"
)]

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// The constant of libc is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a fork this is.
pub(super) enum Fork {
    Child,
    Parent(Pid),
}

/// Splits this process in two. Only the booter and init call it, and both have one thread.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: the callers are single-threaded, so the child may do whatever its parent may.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid => Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .map(Fork::Parent)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// The same, with the child born in a control group of version 2 if one is given (Linux 5.7).
pub(super) fn fork_into(group: Option<BorrowedFd<'_>>) -> io::Result<Fork> {
    let Some(group) = group else { return fork() };
    // SAFETY: all-zero arguments are valid and mean a plain fork.
    let mut arguments: libc::clone_args = unsafe { zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments.cgroup = u64::try_from(group.as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: the arguments have the size given; memory is copied, as by `fork`, and the callers are
    // single-threaded.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match i32::try_from(result) {
        Ok(0) => Ok(Fork::Child),
        Ok(pid) => Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .map(Fork::Parent)
            .ok_or_else(io::Error::last_os_error),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Leaves without running destructors or exit handlers, as a forked child must.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Moves this process into new namespaces.
pub(super) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: no caller asks for a new table of file descriptors, the only case that is unsafe.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Replaces this process by a program; comes back only with the reason why it could not.
pub(super) fn execute(path: &CString, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter()
            .map(|text| text.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and live, as do their strings, until the call returns.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Replaces this process by the program in an open file, without environment; returns only the reason why it could not.
pub(super) fn execute_descriptor(program: BorrowedFd<'_>, argv: &[CString]) -> io::Error {
    let argv: Vec<*const libc::c_char> = argv
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: the path is an empty C string, both arrays end with a null pointer and live, as do their strings, until
    // the call returns.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Makes this thread look at files as another user and group; the capabilities on files go with root's number.
pub(super) fn set_file_system_user(user: u32, group: u32) {
    // SAFETY: both calls take any number. They do not report failure, and cannot fail for root.
    unsafe {
        libc::setfsgid(group);
        libc::setfsuid(user);
    }
}

/// What a detached mount gets before it is attached.
#[derive(Clone, Copy, Default)]
pub(super) struct MountAttributes<'a> {
    pub(super) read_only: bool,
    pub(super) no_devices: bool,
    pub(super) no_set_user_id: bool,
    pub(super) recursive: bool,
    /// Shows the owners of the mount through the mapping of this user namespace.
    pub(super) user_namespace: Option<BorrowedFd<'a>>,
}

/// Changes the attributes of a detached mount (`mount_setattr`, Linux 5.12).
pub(super) fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    attributes: MountAttributes<'_>,
) -> io::Result<()> {
    // SAFETY: an all-zero `mount_attr` is valid and means "change nothing".
    let mut change: libc::mount_attr = unsafe { zeroed() };
    for (wanted, bit) in [
        (attributes.read_only, libc::MOUNT_ATTR_RDONLY),
        (attributes.no_devices, libc::MOUNT_ATTR_NODEV),
        (attributes.no_set_user_id, libc::MOUNT_ATTR_NOSUID),
    ] {
        if wanted {
            change.attr_set |= bit;
        }
    }
    if let Some(namespace) = attributes.user_namespace {
        change.attr_set |= libc::MOUNT_ATTR_IDMAP;
        change.userns_fd = u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?;
    }
    let mut flags = libc::AT_EMPTY_PATH;
    if attributes.recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is an empty C string, `change` is a valid structure of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const change,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives every signal its default meaning again and blocks them all; init is told of dead children
/// through the descriptor it gets back.
pub(super) fn watch_children() -> io::Result<OwnedFd> {
    // SAFETY: all-zero actions mean "default" in the kernel's own layout, which is no larger than this
    // buffer; the sets are initialised by `sigfillset` and `sigemptyset` before use; and a new descriptor
    // belongs to nobody else.
    unsafe {
        // Not by way of libc, which would leave out the two signals it keeps for itself; they may have
        // been ignored by whoever started the engine. KILL and STOP refuse, which is right.
        let default = [0_u64; 8];
        let set_size = size_of::<u64>();
        for signal in 1..=64 {
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                old,
                set_size,
            );
        }
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        let mut children: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut children);
        libc::sigaddset(&raw mut children, libc::SIGCHLD);
        let descriptor = libc::signalfd(
            -1,
            &raw const children,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        );
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Lets all signals through again, in a child of init just before it becomes a program.
pub(super) fn unblock_signals() {
    // SAFETY: the set is initialised by `sigemptyset` before use.
    unsafe {
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Sends any signal, real-time ones too; a negative `pid` is a process group and -1 all but init.
pub(super) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `kill` takes any two numbers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Marks every descriptor from `first` on as closed when a program starts, or closes them at once.
pub(super) fn close_from(first: u32, only_on_exec: bool) -> io::Result<()> {
    let flags = if only_on_exec {
        libc::CLOSE_RANGE_CLOEXEC
    } else {
        0
    };
    close_range(first, u32::MAX, flags)
}

fn close_range(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: callers own no Rust object for a descriptor in the range that they use afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Closes every descriptor except these.
pub(super) fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept
        .iter()
        .filter_map(|descriptor| u32::try_from(descriptor.as_raw_fd()).ok())
        .collect();
    kept.sort_unstable();
    let mut first = 0;
    for descriptor in kept {
        if first < descriptor {
            close_range(first, descriptor - 1, 0)?;
        }
        first = descriptor + 1;
    }
    close_range(first, u32::MAX, 0)
}

/// Brings the loopback interface of this network namespace up.
pub(super) fn raise_loopback() -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: an all-zero `ifreq` is valid; the name fits and ends with a zero byte.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = libc::c_char::from_ne_bytes([*byte]);
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: the request is a valid `ifreq` that outlives the call.
    let result = unsafe {
        libc::ioctl(
            socket.as_fd().as_raw_fd(),
            // Its type differs between C libraries.
            libc::SIOCSIFFLAGS as libc::Ioctl,
            &raw const request,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes the standard input of this process, which the engine made to be a socket, as an object.
pub(super) fn take_standard_descriptor(number: i32) -> OwnedFd {
    // SAFETY: called once for each of 0 and 1 at the start of the booter, where nothing else owns them.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Filters the system calls of this process and of all it starts (`seccomp`).
pub(super) fn filter_calls(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter and its program are valid and live until the call returns.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The user on the other side of a socket. The safe form cannot be used inside, where the process of the
/// engine has no number.
pub(super) fn peer_user(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: an all-zero `ucred` is valid.
    let mut peer: libc::ucred = unsafe { zeroed() };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    // SAFETY: `peer` has the size given and outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    };
    if result == 0 {
        Ok(peer.uid)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets a write beyond the largest file that this process may make (`ulimit -f`) fail, instead of ending the process.
///
/// There is a handler that does nothing: what is ignored would be ignored in the programs that are started too.
pub fn let_large_writes_fail() {
    extern "C" fn do_nothing(_signal: libc::c_int) {}
    static DONE: std::sync::Once = std::sync::Once::new();
    DONE.call_once(|| {
        let handler: extern "C" fn(libc::c_int) = do_nothing;
        // SAFETY: an all-zero `sigaction` is valid: no flags, no mask.
        let mut action: libc::sigaction = unsafe { zeroed() };
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler does nothing, so it may run at any time; nobody asks for the old one.
        unsafe { libc::sigaction(libc::SIGXFSZ, &raw const action, std::ptr::null_mut()) };
    });
}
