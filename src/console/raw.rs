//! The terminal here while it belongs to a console, and its way back.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The state to put back, for whoever ends the program.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// What programs over there may have switched on and not off: mouse, pasted text in brackets, colours, a hidden cursor.
const CALM: &[u8] =
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[0m\x1b[?25h";

/// Raw mode until it is dropped.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes the terminal on standard input raw.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn enter() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let saved = tcgetattr(stdin)?;
        let mut raw = saved.clone();
        raw.make_raw();
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        let guard = Self(());
        tcsetattr(stdin, OptionalActions::Now, &raw)?;
        Ok(guard)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back, if a console has it. Safe to call at any time, also when the program panics.
pub fn restore() {
    let saved = SAVED
        .try_lock()
        .map_or_else(|_| None, |mut saved| saved.take());
    if let Some(saved) = saved {
        // There is no better way left when these fail.
        let _ = io::stdout()
            .write_all(CALM)
            .and_then(|()| io::stdout().flush());
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &saved);
    }
}
