//! The standard output of this process.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::blocking::Blocking;

/// Whether the program was started with a standard output that nothing can be written to.
///
/// The standard library does not tell: it opens `/dev/null` where there is none, and takes what a file refuses that is open
/// for reading alone.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before the standard library has opened anything.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "a function in this section runs before `main`; it makes one system call, and uses nothing of the standard library that is not ready then"
)]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        use rustix::fs::{OFlags, fcntl_getfl};
        let is_writable = fcntl_getfl(rustix::stdio::stdout())
            .is_ok_and(|flags| flags & OFlags::ACCMODE != OFlags::RDONLY);
        IS_CLOSED.store(!is_writable, Ordering::Relaxed);
    }
    look
};

/// Returns the failure of a standard output that nothing can be written to, if it is one.
///
/// # Errors
/// Always the same: a bad file descriptor.
pub(crate) fn check() -> io::Result<()> {
    match IS_CLOSED.load(Ordering::Relaxed) {
        #[cfg(unix)]
        true => Err(rustix::io::Errno::BADF.into()),
        _ => Ok(()),
    }
}

/// The standard output, whose failures are never swallowed.
#[derive(Debug)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check()?;
        Blocking(io::stdout()).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Blocking(io::stdout()).flush()
    }
}
