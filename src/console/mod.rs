//! A terminal here on a terminal elsewhere: what is typed, what is shown, and the state to put back. Knows no WebSocket.

mod escape;
mod leave_keys;
mod pump;
mod reading_thread;
mod typed;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub use escape::Escape;
pub use leave_keys::LeaveKeys;
pub use pump::{Broken, End, FarKeys, FarScreen, USUAL_SIZE, pump};
pub use system::{FullScreen, Keyboard, RawMode, SizeChanges, restore};
#[cfg(unix)]
pub use unix::{release, restore_at_once};

/// Shows another screen without a cursor, and the way back.
const OTHER_SCREEN: &[u8] = b"\x1b[?1049h\x1b[?25l";
const FIRST_SCREEN: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// What programs over there may have switched on and not off: mouse, pasted text in brackets, colours, a hidden cursor.
const CALM: &[u8] =
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[0m\x1b[?25h";
