use std::os::fd::OwnedFd;

use rustix::termios::Winsize;

use super::control_socket::{ask, expect_descriptor};
use super::error::Error;
use super::process::{Running, request};
use super::spec::ExecSpec;

/// A program inside on a terminal of its own. Dropping it hangs up.
#[derive(Debug)]
pub struct Console {
    /// The near end of the terminal: what is written here is typed, what is read is shown.
    pub master: OwnedFd,
    /// The program.
    pub process: Running,
}

impl Console {
    pub(super) fn start(control: OwnedFd, spec: &ExecSpec) -> Result<Self, Error> {
        let request = request(spec, false, true);
        let master = expect_descriptor(ask(&control, &request, || String::from("console"))?)?;
        Ok(Self {
            master,
            process: Running::new(control),
        })
    }

    /// Tells the terminal its size in characters; programs on it get SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<(), Error> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.master, size).map_err(|error| Error::Guest {
            what: String::from("console"),
            source: error.into(),
        })
    }
}
