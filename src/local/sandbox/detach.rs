//! Leaving the session of whoever started this process.

use std::io;

use super::kernel;

/// Makes this process the leader of a session of its own, and has it ignore the signals by which terminals and service
/// managers end what they started.
///
/// # Errors
/// The leader of a process group cannot do that.
pub(in crate::local) fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        kernel::ignore(signal)?;
    }
    Ok(())
}
