//! Data that waits on standard input and that the command does not get: worth one warning, never a read.

use crate::output::Messages;

/// Looks without taking anything.
#[derive(Debug)]
pub(crate) struct Unread {
    watches: bool,
}

impl Unread {
    /// Watches a pipe on standard input, unless the command gets it.
    pub(crate) fn new(sent: bool) -> Self {
        Self {
            watches: !sent && is_pipe(),
        }
    }

    /// Warns once, as soon as something waits.
    pub(crate) fn look(&mut self, messages: &Messages) {
        if self.watches && waiting() > 0 {
            self.watches = false;
            messages.warn("standard input has data that the command does not get: send it with -i, or use `< /dev/null`");
        }
    }
}

#[cfg(unix)]
fn is_pipe() -> bool {
    rustix::fs::fstat(rustix::stdio::stdin())
        .is_ok_and(|status| rustix::fs::FileType::from_raw_mode(status.st_mode).is_fifo())
}

/// How many bytes wait.
#[cfg(unix)]
fn waiting() -> u64 {
    rustix::io::ioctl_fionread(rustix::stdio::stdin()).unwrap_or(0)
}

#[cfg(not(unix))]
fn is_pipe() -> bool {
    false
}

#[cfg(not(unix))]
fn waiting() -> u64 {
    0
}
