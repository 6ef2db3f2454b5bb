//! A pseudo terminal with a program on it, looked at with the eyes of a terminal emulator.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

/// How long something may take to show before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with a program on it.
pub(crate) struct Terminal {
    pub(crate) master: OwnedFd,
    slave: OwnedFd,
    /// All that `stty -a` shows, before the program.
    before: String,
    screen: vt100::Parser,
    shown: mpsc::Receiver<Vec<u8>>,
    pub(crate) child: Child,
}

/// Both ends of a new pseudo terminal: the one of a terminal emulator, and the one of programs.
pub(crate) fn ends() -> (OwnedFd, OwnedFd) {
    // Not handed to programs: one that holds its own terminal open never sees it closed.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    resize(&master, 24, 80);
    (master, slave.into())
}

impl Terminal {
    pub(crate) fn run(command: &mut Command) -> Self {
        let (master, slave) = ends();
        let before = settings(&slave);
        let end = || std::process::Stdio::from(slave.try_clone().unwrap());
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let (sender, shown) = mpsc::channel();
        let mut reader = File::from(master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            master,
            slave,
            before,
            screen: vt100::Parser::new(24, 80, 0),
            shown,
            child,
        }
    }

    pub(crate) fn type_in(&self, text: &str) {
        let mut keyboard = File::from(self.master.try_clone().unwrap());
        keyboard.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen shows a text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.text().contains(text) {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("{text:?} does not show in\n{}", self.text()),
            }
        }
    }

    /// Whether the screen shows a text before the time is over.
    pub(crate) fn shows_within(&mut self, text: &str, limit: Duration) -> bool {
        let end = std::time::Instant::now() + limit;
        while !self.text().contains(text) {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits until the screen shows a text no more.
    pub(crate) fn wait_until_gone(&mut self, text: &str) {
        while self.text().contains(text) {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("{text:?} still shows in\n{}", self.text()),
            }
        }
    }

    /// Waits until the first screen is shown again, with its cursor.
    pub(crate) fn wait_for_first_screen(&mut self) {
        while self.screen.screen().alternate_screen() || self.screen.screen().hide_cursor() {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("another screen, or no cursor, in\n{}", self.text()),
            }
        }
    }

    /// Whether another screen is shown, without a cursor.
    pub(crate) fn is_on_other_screen(&self) -> bool {
        self.screen.screen().alternate_screen() && self.screen.screen().hide_cursor()
    }

    /// Waits for the prompt of the shell that is ready to be typed to.
    pub(crate) fn wait_for_shell(&mut self) {
        self.wait_for("leaves");
        self.type_in("echo rea''dy\r");
        self.wait_for("ready");
    }

    /// Looks at all that is shown already.
    pub(crate) fn read_to_the_end(&mut self) {
        while let Ok(bytes) = self.shown.try_recv() {
            self.screen.process(&bytes);
        }
    }

    /// How many bytes of a typed line nobody has read. The kernel may take a moment to bring them to the programs' end.
    pub(crate) fn unread(&self) -> u64 {
        let limit = Timespec::try_from(PATIENCE).unwrap();
        poll(&mut [PollFd::new(&self.slave, PollFlags::IN)], Some(&limit)).unwrap();
        rustix::io::ioctl_fionread(&self.slave).unwrap()
    }

    pub(crate) fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().unwrap();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Whether the terminal is set as it was before the program, in all that can be set.
    pub(crate) fn is_given_back(&self) -> bool {
        settings(&self.slave) == self.before
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed leaves it running; one that ended is none the worse for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(terminal: &OwnedFd) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

pub(crate) fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}
