//! The terminal of Unix systems.

mod keyboard;
mod raw;

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub use keyboard::Keyboard;
pub use raw::{FullScreen, RawMode, release, restore, restore_at_once};

/// Changes of the size of the terminal.
#[derive(Debug)]
pub struct SizeChanges(Signal);

impl SizeChanges {
    /// Begins to watch.
    ///
    /// # Errors
    /// Those of the system.
    pub fn watch() -> io::Result<Self> {
        signal(SignalKind::window_change()).map(Self)
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
