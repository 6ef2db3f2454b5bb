//! The terminal here while it belongs to a console, and its way back.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::super::{CALM, FIRST_SCREEN, OTHER_SCREEN};

/// The state to put back, for whoever ends the program, and what to write before.
static SAVED: Mutex<Option<(Termios, &'static [u8])>> = Mutex::new(None);

/// Raw mode until it is dropped.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes the terminal on standard input raw.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn enter() -> io::Result<Self> {
        let guard = Self(());
        change(CALM, Termios::make_raw)?;
        Ok(guard)
    }
}

/// Another screen, and keys that are neither shown nor wait for the end of a line, until it is dropped. Ctrl-C is a signal
/// as before; the program cannot be stopped by Ctrl-Z, as it would leave the terminal like this.
#[derive(Debug)]
pub struct FullScreen(());

impl FullScreen {
    /// Takes the terminal on standard input and output.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn enter() -> io::Result<Self> {
        let guard = Self(());
        change(FIRST_SCREEN, |termios| {
            termios.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            termios.special_codes[SpecialCodeIndex::VSUSP] = 0;
        })?;
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

/// Changes the terminal on standard input, and keeps what puts it back.
fn change(farewell: &'static [u8], change: impl FnOnce(&mut Termios)) -> io::Result<()> {
    let stdin = rustix::stdio::stdin();
    let saved = tcgetattr(stdin)?;
    let mut changed = saved.clone();
    change(&mut changed);
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some((saved, farewell));
    Ok(tcsetattr(stdin, OptionalActions::Now, &changed)?)
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back, if a console or a full screen has it. Safe to call at any time, also when the program panics.
pub fn restore() {
    if let Some((saved, farewell)) = saved() {
        // There is no better way left when these fail.
        let _ = io::stdout()
            .write_all(farewell)
            .and_then(|()| io::stdout().flush());
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &saved);
        forget();
    }
}

/// Lets a terminal go on that was stopped by Ctrl-S, and returns whether a console or a full screen has it.
pub fn release() -> bool {
    let Some((mut changed, _)) = saved() else {
        return false;
    };
    changed.input_modes -= InputModes::IXON;
    // What a terminal that is gone refuses needs no release.
    let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &changed);
    true
}

/// As [`restore`], for another thread than the one that writes: waits neither for that thread nor for the terminal.
pub fn restore_at_once() {
    if let Some((saved, farewell)) = saved() {
        let stdout = rustix::stdio::stdout();
        let mut ends = [PollFd::new(&stdout, PollFlags::OUT)];
        // There is no better way left when these fail.
        if poll(&mut ends, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            let _ = rustix::io::write(stdout, farewell);
        }
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &saved);
        forget();
    }
}

/// What puts the terminal back.
fn saved() -> Option<(Termios, &'static [u8])> {
    SAVED.try_lock().ok()?.clone()
}

/// Notes that the terminal was put back.
fn forget() {
    if let Ok(mut saved) = SAVED.try_lock() {
        *saved = None;
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    const IN_A_CHILD: &str = "FASTVM_TEST_PANICS";

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(IN_A_CHILD).is_some() {
            crate::report::install_panic_hook();
            let _raw = RawMode::enter().unwrap();
            let modes = tcgetattr(rustix::stdio::stdin()).unwrap().local_modes;
            if !modes.contains(LocalModes::ICANON) {
                panic!("in raw mode");
            }
            return;
        }
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.to_bytes());
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "console::unix::raw::tests::a_panic_gives_the_terminal_back",
            ])
            .env(IN_A_CHILD, "yes")
            .stdin(terminal.try_clone().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("error: fastvm has a bug and stops"), "{said}");
        let after = tcgetattr(&terminal).unwrap();
        let modes = |termios: &Termios| {
            (
                termios.input_modes,
                termios.output_modes,
                termios.control_modes,
                termios.local_modes,
            )
        };
        assert_eq!(modes(&after), modes(&before));
    }
}
