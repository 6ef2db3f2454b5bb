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

#[cfg(all(test, target_os = "linux"))]
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
            crate::report::instead_of_panics();
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
                "console::raw::tests::a_panic_gives_the_terminal_back",
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
