//! System calls that have no safe wrapper; every other file of these tests is free of `unsafe`.

#![expect(unsafe_code, reason = "an attacker uses calls that have no safe form")]

use std::ffi::CString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fastvm_sandbox::Exit;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// As many as the kernel takes in one message.
pub(crate) const DESCRIPTORS_AT_ONCE: usize = 253;

/// Any system call. The arguments are numbers, null, or addresses that [`address_of`] and the like gave
/// and that outlive the call.
pub(crate) fn call(number: libc::c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the kernel checks every argument; where it writes, the callers pass memory of theirs.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The address of a value for [`call`].
pub(crate) fn address_of<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>().expose_provenance()
}

/// The address of a value that the kernel writes to.
pub(crate) fn address_of_mut<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<u8>().expose_provenance()
}

/// The number of a descriptor for [`call`].
pub(crate) fn number_of(descriptor: BorrowedFd<'_>) -> usize {
    usize::try_from(descriptor.as_raw_fd()).unwrap()
}

/// The owner of a descriptor that [`call`] has returned.
pub(crate) fn descriptor(number: usize) -> OwnedFd {
    // SAFETY: the kernel has just made it for this caller.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(number).unwrap()) }
}

/// A path for [`call`].
pub(crate) fn path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_encoded_bytes()).unwrap()
}

/// Does something in a child with one thread and returns how that ended.
pub(crate) fn in_child(act: impl FnOnce()) -> Exit {
    // SAFETY: the child uses memory, files and system calls only, whose locks no other thread of the
    // probe holds, and does not return.
    match unsafe { libc::fork() } {
        0 => {
            let code = match catch_unwind(AssertUnwindSafe(act)) {
                Ok(()) => 0,
                Err(_) => 101,
            };
            // SAFETY: `_exit` takes any number.
            unsafe { libc::_exit(code) }
        }
        child => {
            let child = rustix::process::Pid::from_raw(child).unwrap();
            let (_, status) =
                rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())
                    .unwrap()
                    .unwrap();
            match status.exit_status() {
                Some(code) => Exit::Code(code),
                None => Exit::Signal(status.terminating_signal().unwrap()),
            }
        }
    }
}

/// Maps a file, shared and writable, and writes its first byte.
pub(crate) fn write_through_mapping(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a new mapping of one page, which nothing else uses, written while it is there.
    unsafe {
        let page = libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        );
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        page.cast::<u8>().write_volatile(b'!');
        libc::munmap(page, 4096);
    }
    Ok(())
}

/// Makes a mount writable, and lets set-user-id files and devices on it count.
pub(crate) fn clear_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    let change = libc::mount_attr {
        attr_set: 0,
        attr_clr: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        propagation: 0,
        userns_fd: 0,
    };
    let arguments = [
        number_of(mount),
        address_of(c""),
        usize::try_from(libc::AT_EMPTY_PATH).unwrap(),
        address_of(&change),
        size_of::<libc::mount_attr>(),
    ];
    call(libc::SYS_mount_setattr, &arguments).map(drop)
}

/// Sends descriptors over a socket.
pub(crate) fn send_descriptors(socket: &impl AsFd, all: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(all)));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(b"x")], &mut control, flags)?;
    Ok(())
}

/// Takes descriptors from a socket.
pub(crate) fn receive_descriptors(socket: &impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut all = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            all.extend(passed);
        }
    }
    Ok(all)
}

/// Starts a child with one thread, which ends with this process, and returns its number.
pub(crate) fn start_child(act: impl FnOnce()) -> i32 {
    let parent = rustix::process::getpid();
    fork(|| {
        // SAFETY: this option takes a number.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // It may have ended before. A parent in another process namespace has no number.
        if rustix::process::getppid().is_none_or(|now| now == parent) {
            act();
        }
    })
}

/// Starts a child that outlives this process, in a session of its own and without its descriptors.
pub(crate) fn start_daemon(act: impl FnOnce()) -> i32 {
    fork(|| {
        rustix::process::setsid().unwrap();
        call(libc::SYS_close_range, &[0, 0x7fff_ffff, 0]).unwrap();
        act();
    })
}

fn fork(act: impl FnOnce()) -> i32 {
    // SAFETY: as for `in_child`.
    match unsafe { libc::fork() } {
        0 => {
            drop(catch_unwind(AssertUnwindSafe(act)));
            leave()
        }
        child => {
            assert!(child > 0, "fork: {}", io::Error::last_os_error());
            child
        }
    }
}

/// Splits this process, and tells the child from its parent.
pub(crate) fn is_child_of_fork() -> bool {
    // SAFETY: the probe has one thread.
    unsafe { libc::fork() == 0 }
}

/// The same, while the parent waits in the kernel until the child has ended.
pub(crate) fn is_child_that_is_waited_for() -> bool {
    let flags = usize::try_from(libc::CLONE_VFORK | libc::SIGCHLD).unwrap();
    call(libc::SYS_clone, &[flags, 0, 0, 0, 0]).unwrap() == 0
}

pub(crate) fn leave() -> ! {
    // SAFETY: `_exit` takes any number.
    unsafe { libc::_exit(0) }
}

pub(crate) fn kill(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `kill` takes any two numbers.
    match unsafe { libc::kill(process, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Becomes the tracer of a process, which goes on.
pub(crate) fn seize(process: i32) -> io::Result<()> {
    // SAFETY: this request takes no addresses.
    match unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Traces a process and lets it go on from every stop, without the signal.
pub(crate) fn trace_and_suppress_stops(process: i32) -> ! {
    // SAFETY: these requests take no addresses.
    unsafe {
        libc::ptrace(libc::PTRACE_ATTACH, process, 0, 0);
        loop {
            libc::waitpid(process, std::ptr::null_mut(), libc::__WALL);
            libc::ptrace(libc::PTRACE_CONT, process, 0, 0);
        }
    }
}

/// Reads or writes a byte of another process. An address that it does not have counts as success: only
/// who may look is told that there is nothing.
pub(crate) fn copy_memory(process: i32, written: bool) -> io::Result<()> {
    let mut byte = 1_u8;
    let part = libc::iovec {
        iov_base: std::ptr::from_mut(&mut byte).cast(),
        iov_len: 1,
    };
    let number = if written {
        libc::SYS_process_vm_writev
    } else {
        libc::SYS_process_vm_readv
    };
    let part = address_of(&part);
    let process = usize::try_from(process).unwrap();
    match call(number, &[process, part, 1, part, 1, 0]) {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        result => result.map(drop),
    }
}

/// Asks whether the standard input of a process and ours are the same.
pub(crate) fn compare_descriptors(process: i32) -> io::Result<()> {
    let (process, own) = (
        usize::try_from(process).unwrap(),
        usize::try_from(std::process::id()).unwrap(),
    );
    call(libc::SYS_kcmp, &[process, own, 0, 0, 0]).map(drop)
}

extern "C" fn do_nothing(_signal: i32) {}

/// Sends this process a signal again and again.
pub(crate) fn ring(signal: i32, interval: std::time::Duration) {
    let nanoseconds = libc::timespec {
        tv_sec: 0,
        tv_nsec: i64::from(interval.subsec_nanos()),
    };
    let times = libc::itimerspec {
        it_interval: nanoseconds,
        it_value: nanoseconds,
    };
    // SAFETY: an all-zero event is valid, everything passed outlives the calls, and the handler does nothing.
    unsafe {
        // Newer kernels do not ring a second time for a signal that is ignored.
        let handler = do_nothing as extern "C" fn(i32);
        libc::signal(signal, handler as libc::sighandler_t);
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut timer = std::ptr::null_mut();
        assert_eq!(
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer),
            0
        );
        assert_eq!(
            libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut()),
            0
        );
    }
}

/// Makes a POSIX message queue without a name.
pub(crate) fn message_queue() -> io::Result<OwnedFd> {
    let name = CString::new(format!("escape-{}", std::process::id())).unwrap();
    let flags = usize::try_from(libc::O_CREAT | libc::O_RDWR).unwrap();
    let queue = call(libc::SYS_mq_open, &[address_of(&*name), flags, 0o600, 0])?;
    call(libc::SYS_mq_unlink, &[address_of(&*name)])?;
    Ok(descriptor(queue))
}

/// Makes a timer, for which the kernel keeps a signal ready.
pub(crate) fn make_timer() -> io::Result<()> {
    let mut timer = 0_i32;
    let monotonic = usize::try_from(libc::CLOCK_MONOTONIC).unwrap();
    call(
        libc::SYS_timer_create,
        &[monotonic, 0, address_of_mut(&mut timer)],
    )
    .map(drop)
}

/// Keeps new shared memory from being swapped, which the kernel counts for the user.
pub(crate) fn lock_segment() -> io::Result<()> {
    const SIZE: usize = 64 * 1024;
    let checked = |result: i32| match result {
        -1 => Err(io::Error::last_os_error()),
        number => Ok(number),
    };
    // SAFETY: a new segment, which stays attached and which nothing uses.
    unsafe {
        let segment = checked(libc::shmget(libc::IPC_PRIVATE, SIZE, 0o600))?;
        libc::shmat(segment, std::ptr::null(), 0);
        let locked = checked(libc::shmctl(segment, libc::SHM_LOCK, std::ptr::null_mut()));
        checked(libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()))?;
        locked.map(drop)
    }
}

/// Maps new memory and writes to all of it.
pub(crate) fn map_memory(size: usize, kind: i32) -> io::Result<()> {
    // SAFETY: a new mapping of that size, which nothing else uses.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            kind | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        memory.cast::<u8>().write_bytes(1, size);
    }
    Ok(())
}

/// Makes a segment of shared memory and writes to all of it.
pub(crate) fn attach_segment(size: usize) -> io::Result<()> {
    // SAFETY: a new segment of that size, which stays attached and which nothing else uses.
    unsafe {
        let segment = libc::shmget(libc::IPC_PRIVATE, size, 0o600);
        if segment < 0 {
            return Err(io::Error::last_os_error());
        }
        let memory = libc::shmat(segment, std::ptr::null(), 0);
        libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut());
        if memory.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        memory.cast::<u8>().write_bytes(1, size);
    }
    Ok(())
}

/// A key of this user in the kernel, which is removed in the end.
pub(crate) struct Key(usize);

/// The keyring that all processes of a user share, and how one is removed from it.
const USER_KEYRING: isize = -4;
const UNLINK: usize = 9;

impl Key {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let name = CString::new(name).unwrap();
        let arguments = [
            address_of(c"user"),
            address_of(&*name),
            address_of(b"secret"),
            6,
            USER_KEYRING.cast_unsigned(),
        ];
        call(libc::SYS_add_key, &arguments).map(Self)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let arguments = [UNLINK, self.0, USER_KEYRING.cast_unsigned()];
        call(libc::SYS_keyctl, &arguments).unwrap();
    }
}

/// Memory whose addresses fit into 32 bits.
#[cfg(target_arch = "x86_64")]
pub(crate) struct LowMemory(*mut u32);

#[cfg(target_arch = "x86_64")]
impl LowMemory {
    pub(crate) fn new() -> Self {
        // SAFETY: a new mapping, which nothing else uses.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(memory, libc::MAP_FAILED);
        Self(memory.cast())
    }

    /// Puts words there and returns their address.
    pub(crate) fn fill(&self, words: &[u32]) -> u32 {
        assert!(words.len() <= 1024);
        // SAFETY: they fit into the page.
        unsafe { self.0.copy_from_nonoverlapping(words.as_ptr(), words.len()) };
        u32::try_from(self.0.addr()).unwrap()
    }
}

/// A system call by the entry for 32-bit programs.
#[cfg(target_arch = "x86_64")]
pub(crate) fn call_32(number: u32, arguments: &[u32]) -> io::Result<usize> {
    let mut all = [0_u32; 5];
    all[..arguments.len()].copy_from_slice(arguments);
    let result: i32;
    // SAFETY: the kernel checks every argument; where it writes, the callers pass memory of theirs. The
    // compiler keeps rbx for itself, so it is exchanged and given back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(all[0]) => _,
            inout("eax") number => result,
            in("ecx") all[1],
            in("edx") all[2],
            in("esi") all[3],
            in("edi") all[4],
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
