//! The console here while it belongs to one elsewhere, and its way back.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use winapi_util::HandleRef;
use winapi_util::console::{mode, set_mode};

use super::super::{CALM, FIRST_SCREEN, OTHER_SCREEN};

/// Bits of the mode of an input, as `SetConsoleMode` has them.
const PROCESSED_INPUT: u32 = 0x1;
const LINE_INPUT: u32 = 0x2;
const ECHO_INPUT: u32 = 0x4;
const VIRTUAL_TERMINAL_INPUT: u32 = 0x200;

/// Bits of the mode of an output.
const PROCESSED_OUTPUT: u32 = 0x1;
const VIRTUAL_TERMINAL_PROCESSING: u32 = 0x4;
const DISABLE_NEWLINE_AUTO_RETURN: u32 = 0x8;

/// What is put back at the end.
#[derive(Clone, Copy)]
struct Saved {
    input: u32,
    output: u32,
    farewell: &'static [u8],
}

static SAVED: Mutex<Option<Saved>> = Mutex::new(None);

/// Raw mode until it is dropped.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes the console raw: each key is a byte sequence as on other systems, Ctrl-C too.
    ///
    /// # Errors
    /// Those of the console, such as one too old for escape sequences.
    pub fn enter() -> io::Result<Self> {
        let guard = Self(());
        change(
            CALM,
            |input| input & !(PROCESSED_INPUT | LINE_INPUT | ECHO_INPUT) | VIRTUAL_TERMINAL_INPUT,
            |output| {
                output
                    | PROCESSED_OUTPUT
                    | VIRTUAL_TERMINAL_PROCESSING
                    | DISABLE_NEWLINE_AUTO_RETURN
            },
        )?;
        Ok(guard)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Another screen, and keys that are neither shown nor wait for the end of a line, until it is dropped. Ctrl-C is a
/// signal as before.
#[derive(Debug)]
pub struct FullScreen(());

impl FullScreen {
    /// Takes the console.
    ///
    /// # Errors
    /// Those of the console.
    pub fn enter() -> io::Result<Self> {
        let guard = Self(());
        change(
            FIRST_SCREEN,
            |input| input & !(LINE_INPUT | ECHO_INPUT),
            |output| output | PROCESSED_OUTPUT | VIRTUAL_TERMINAL_PROCESSING,
        )?;
        io::stdout().write_all(OTHER_SCREEN)?;
        io::stdout().flush()?;
        Ok(guard)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Changes the modes, and keeps what puts them back.
fn change(
    farewell: &'static [u8],
    input_mode: impl FnOnce(u32) -> u32,
    output_mode: impl FnOnce(u32) -> u32,
) -> io::Result<()> {
    let saved = Saved {
        input: mode(HandleRef::stdin())?,
        output: mode(HandleRef::stdout())?,
        farewell,
    };
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
    set_mode(HandleRef::stdin(), input_mode(saved.input))?;
    set_mode(HandleRef::stdout(), output_mode(saved.output))
}

/// Puts the console back, if a console or a full screen has it. Safe to call at any time, also when the program panics.
pub fn restore() {
    let saved = SAVED
        .try_lock()
        .map_or_else(|_| None, |mut saved| saved.take());
    if let Some(saved) = saved {
        // There is no better way left when these fail.
        let _ = io::stdout()
            .write_all(saved.farewell)
            .and_then(|()| io::stdout().flush());
        let _ = set_mode(HandleRef::stdout(), saved.output);
        let _ = set_mode(HandleRef::stdin(), saved.input);
    }
}
