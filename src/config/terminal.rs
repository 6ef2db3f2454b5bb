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
    /// Asks the standard streams, and makes them understand escape sequences.
    pub fn detect() -> Self {
        let stdout = std::io::stdout().is_terminal();
        let stderr = std::io::stderr().is_terminal();
        enable_escapes(Stream::Stdout);
        enable_escapes(Stream::Stderr);
        Self {
            stdin: std::io::stdin().is_terminal(),
            stdout,
            stderr,
            width: width(stdout, stderr),
        }
    }

    /// Columns and lines of the terminal behind stdout as it is now.
    pub fn size_now() -> Option<(u16, u16)> {
        size(Stream::Stdout).filter(|(columns, lines)| *columns > 0 && *lines > 0)
    }

    /// Columns of the terminal behind stderr as it is now: its window may have changed.
    pub fn width_now() -> Option<u16> {
        width(false, std::io::stderr().is_terminal())
    }
}

/// A stream that may be a terminal.
#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

fn width(stdout: bool, stderr: bool) -> Option<u16> {
    let stream = match (stdout, stderr) {
        (true, _) => Stream::Stdout,
        (false, true) => Stream::Stderr,
        (false, false) => return None,
    };
    size(stream)
        .map(|(columns, _)| columns)
        .filter(|columns| *columns > 0)
}

/// Columns and lines, zeros where the terminal does not know.
#[cfg(unix)]
fn size(stream: Stream) -> Option<(u16, u16)> {
    let size = match stream {
        Stream::Stdout => rustix::termios::tcgetwinsize(std::io::stdout()),
        Stream::Stderr => rustix::termios::tcgetwinsize(std::io::stderr()),
    };
    size.ok().map(|size| (size.ws_col, size.ws_row))
}

/// Columns and lines of the window, which is a part of the console's buffer.
#[cfg(windows)]
fn size(stream: Stream) -> Option<(u16, u16)> {
    let window = winapi_util::console::screen_buffer_info(handle(stream))
        .ok()?
        .window_rect();
    let length = |first: i16, last: i16| u16::try_from(i32::from(last) - i32::from(first) + 1);
    let columns = length(window.left, window.right).ok()?;
    Some((columns, length(window.top, window.bottom).ok()?))
}

#[cfg(windows)]
fn handle(stream: Stream) -> winapi_util::HandleRef {
    match stream {
        Stream::Stdout => winapi_util::HandleRef::stdout(),
        Stream::Stderr => winapi_util::HandleRef::stderr(),
    }
}

/// Elsewhere terminals understand escape sequences by themselves.
#[cfg(unix)]
fn enable_escapes(_stream: Stream) {}

/// Makes a console understand escape sequences. One too old for them shows them as they are.
#[cfg(windows)]
fn enable_escapes(stream: Stream) {
    const VIRTUAL_TERMINAL_PROCESSING: u32 = 0x4;
    if let Ok(mode) = winapi_util::console::mode(handle(stream)) {
        let _ = winapi_util::console::set_mode(handle(stream), mode | VIRTUAL_TERMINAL_PROCESSING);
    }
}
