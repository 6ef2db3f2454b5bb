//! Stopping all processes of a machine: with a freezer, or by signals where there is none.

use std::ffi::CStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, Mode, OFlags};

use super::freezer::Freezer;
use super::handles::Handles;
use super::kernel;

/// How long a process may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// When a thread that waits in the kernel counts as stopped: one in `vfork` waits for a child that is
/// stopped itself.
const LONG_WAIT: Duration = Duration::from_millis(200);

/// How long what execs again and again may take to see its signal.
const SIGNAL_TIME: Duration = Duration::from_millis(50);

/// Whether all were stopped by signals; else a signal would wake what somebody inside has stopped.
static STOPPED: AtomicBool = AtomicBool::new(false);
/// Counts what was asked here; odd numbers are stops.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Which stop it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop(u64);

/// Stops all processes but init, and returns when every thread has stopped.
pub(super) fn stop_all(handles: &Handles) -> io::Result<Stop> {
    match (&handles.program_groups.freezer, &handles.proc) {
        (Some(freezer), _) => freeze(freezer),
        (None, Some(proc)) => stop_by_signals(proc.as_fd()),
        (None, None) => Err(io::ErrorKind::Unsupported.into()),
    }?;
    let turn = TURN.load(Ordering::Relaxed);
    let stop = turn + 1 + turn % 2;
    TURN.store(stop, Ordering::Relaxed);
    Ok(Stop(stop))
}

/// A process that execs again and again can keep a freezer from ever freezing it; a stopped one cannot.
fn freeze(freezer: &Freezer) -> io::Result<()> {
    match freezer.freeze() {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
        other => return other,
    }
    STOPPED.store(true, Ordering::Relaxed);
    signal_all(libc::SIGSTOP)?;
    std::thread::sleep(SIGNAL_TIME);
    let frozen = freezer.freeze();
    if frozen.is_err() {
        continue_by_signals()?;
    }
    frozen
}

/// Returns whether all processes are stopped.
pub(super) fn is_stopped() -> bool {
    TURN.load(Ordering::Relaxed) % 2 == 1
}

/// Lets all processes go on, if that stop was the last thing that was asked here.
pub(super) fn end(handles: &Handles, stop: Stop) -> io::Result<()> {
    if TURN.load(Ordering::Relaxed) == stop.0 {
        continue_all(handles)?;
    }
    Ok(())
}

/// Lets all processes go on that [`stop_all`] has stopped.
pub(super) fn continue_all(handles: &Handles) -> io::Result<()> {
    if let Some(freezer) = &handles.program_groups.freezer {
        freezer.thaw()?;
    }
    continue_by_signals()?;
    if is_stopped() {
        TURN.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// `proc` is a `/proc` that nobody inside can mount anything on.
fn stop_by_signals(proc: BorrowedFd<'_>) -> io::Result<()> {
    STOPPED.store(true, Ordering::Relaxed);
    let start = Instant::now();
    loop {
        signal_all(libc::SIGSTOP)?;
        let waiting = start.elapsed() < LONG_WAIT;
        if !any_runs(proc, waiting)? {
            return Ok(());
        }
        if start.elapsed() > STOP_TIMEOUT {
            continue_by_signals()?;
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn continue_by_signals() -> io::Result<()> {
    if STOPPED.swap(false, Ordering::Relaxed) {
        signal_all(libc::SIGCONT)?;
    }
    Ok(())
}

fn signal_all(signal: i32) -> io::Result<()> {
    match kernel::kill(-1, signal) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

fn any_runs(proc: BorrowedFd<'_>, waiting_counts: bool) -> io::Result<bool> {
    for entry in Dir::new(open(proc, c".", OFlags::DIRECTORY)?)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_number(name) && name != c"1" && any_thread_runs(proc, name, waiting_counts) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_number(name: &CStr) -> bool {
    name.to_bytes().iter().all(u8::is_ascii_digit)
}

/// A process that has ended while it is looked at does not run.
fn any_thread_runs(proc: BorrowedFd<'_>, process: &CStr, waiting_counts: bool) -> bool {
    let threads = open(proc, process, OFlags::DIRECTORY)
        .and_then(|process| open(process.as_fd(), c"task", OFlags::DIRECTORY))
        .and_then(|tasks| Ok((Dir::read_from(&tasks)?, tasks)));
    let Ok((threads, tasks)) = threads else {
        return false;
    };
    threads.filter_map(Result::ok).any(|thread| {
        let name = thread.file_name();
        is_number(name)
            && match state(&tasks, name) {
                None | Some(b'T' | b't' | b'Z' | b'X') => false,
                Some(b'D') => waiting_counts,
                Some(_) => true,
            }
    })
}

/// Returns the letter that `stat` has for a thread, `None` if it has ended.
fn state(tasks: &OwnedFd, thread: &CStr) -> Option<u8> {
    let thread = open(tasks.as_fd(), thread, OFlags::DIRECTORY).ok()?;
    let mut line = Vec::new();
    let stat = open(thread.as_fd(), c"stat", OFlags::empty()).ok()?;
    std::fs::File::from(stat).read_to_end(&mut line).ok()?;
    // The name before the state may hold any bytes, a parenthesis too.
    let end = memchr::memrchr(b')', &line)?;
    line.get(end + 2).copied()
}

fn open(folder: BorrowedFd<'_>, name: &CStr, more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | more;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?)
}
