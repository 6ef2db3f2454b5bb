//! Stopping all processes of a machine by signals, where there is no freezer.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::kernel;

/// How long a process may take to stop.
const PATIENCE: Duration = Duration::from_secs(2);
/// When a thread that waits in the kernel counts as stopped: one in `vfork` waits for a child that is
/// stopped itself.
const LONG_WAIT: Duration = Duration::from_millis(200);

/// Whether all were stopped this way; else a signal would wake what somebody inside has stopped.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Stops all processes but init, and comes back when every thread has stopped.
pub(super) fn stop_all() -> io::Result<()> {
    STOPPED.store(true, Ordering::Relaxed);
    let start = Instant::now();
    loop {
        signal_all(libc::SIGSTOP)?;
        let waiting = start.elapsed() < LONG_WAIT;
        if !any_runs(waiting)? {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            continue_all()?;
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Lets all processes go on that [`stop_all`] has stopped.
pub(super) fn continue_all() -> io::Result<()> {
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

fn any_runs(waiting_counts: bool) -> io::Result<bool> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let is_process = name
            .to_string_lossy()
            .bytes()
            .all(|one| one.is_ascii_digit());
        if is_process && name != "1" && any_thread_runs(&entry.path().join("task"), waiting_counts)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One that has ended while it is looked at does not run.
fn any_thread_runs(tasks: &Path, waiting_counts: bool) -> bool {
    let Ok(threads) = fs::read_dir(tasks) else {
        return false;
    };
    threads.filter_map(Result::ok).any(|thread| {
        let line = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name before the state may hold anything, a parenthesis too.
        let state = line
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        match state {
            None | Some('T' | 't' | 'Z' | 'X') => false,
            Some('D') => waiting_counts,
            Some(_) => true,
        }
    })
}
