//! A terminal here on a terminal elsewhere: what is typed, what is shown, and the state to put back. Knows no WebSocket.

mod escape;
mod keyboard;
mod pump;
mod raw;
mod typed;

pub use escape::Escape;
pub use keyboard::Keyboard;
pub use pump::{Broken, End, FarKeys, FarScreen, pump};
pub use raw::{FullScreen, RawMode, release, restore, restore_at_once};
