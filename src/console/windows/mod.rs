//! The console of Windows.

mod keyboard;
mod raw;

use std::io;
use std::time::Duration;

use crate::config::Terminal;

pub use keyboard::Keyboard;
pub use raw::{FullScreen, RawMode, restore};

/// How often the size is looked at: no event tells of it without taking the keys too.
const SIZE_INTERVAL: Duration = Duration::from_millis(250);

/// Changes of the size of the console.
#[derive(Debug)]
pub struct SizeChanges(Option<(u16, u16)>);

impl SizeChanges {
    /// Begins to watch.
    ///
    /// # Errors
    /// Those of the system.
    pub fn watch() -> io::Result<Self> {
        Ok(Self(Terminal::size_now()))
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        loop {
            tokio::time::sleep(SIZE_INTERVAL).await;
            let now = Terminal::size_now();
            if now != self.0 {
                self.0 = now;
                return;
            }
        }
    }
}
