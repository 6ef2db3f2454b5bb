//! Which of the three standard streams is a terminal, and how wide it is.

use std::io::IsTerminal as _;

/// The terminal as it is when the program starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Columns of the terminal behind stdout, else of the one behind stderr.
    pub width: Option<u16>,
}

impl Terminal {
    /// Asks the standard streams.
    pub fn detect() -> Self {
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        Self {
            stdin: std::io::stdin().is_terminal(),
            stdout,
            stderr,
            width: width(stdout, stderr),
        }
    }

    /// Columns of the terminal behind stderr as it is now: its window may have changed.
    pub fn width_now() -> Option<u16> {
        width(false, std::io::stderr().is_terminal())
    }
}

#[cfg(unix)]
impl Terminal {
    /// Columns and lines of the terminal behind stdout as it is now.
    pub fn size_now() -> Option<(u16, u16)> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }
}

#[cfg(unix)]
fn width(stdout: bool, stderr: bool) -> Option<u16> {
    let size = match (stdout, stderr) {
        (true, _) => rustix::termios::tcgetwinsize(std::io::stdout()),
        (false, true) => rustix::termios::tcgetwinsize(std::io::stderr()),
        (false, false) => return None,
    };
    size.ok()
        .map(|size| size.ws_col)
        .filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn width(_stdout: bool, _stderr: bool) -> Option<u16> {
    None
}
