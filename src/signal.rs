//! INT, TERM and HUP, and what Windows has in their place, as an event to wait for, in the commands that must clean up or say something first.
//!
//! A command that does not listen is ended by the signal itself, as a shell expects. One that has listened is ended by a
//! thread if it is stuck in a write to a terminal or pipe that nobody reads.

#[cfg(unix)]
pub(crate) mod stuck;

#[cfg(windows)]
use tokio::signal::windows;

use crate::error::{Error, Kind};

/// A signal that comes again so soon is still the same: `timeout` sends its own twice, to the process and to its group.
#[cfg(unix)]
const ECHO: std::time::Duration = std::time::Duration::from_millis(50);

/// A signal that ends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    Hangup,
}

impl Signal {
    /// Its number on Linux, which exit codes are made of.
    pub fn number(self) -> i32 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// The failure that it is.
    pub fn error(self) -> Error {
        let what = match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
            Self::Hangup => "the terminal hung up",
        };
        Error::new(Kind::Interrupted(self.number()), what)
    }
}

/// The signals of this process from now on. They no longer end it by themselves.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    #[cfg(windows)]
    ctrl_c: windows::CtrlC,
    #[cfg(windows)]
    ctrl_break: windows::CtrlBreak,
    #[cfg(windows)]
    close: windows::CtrlClose,
    #[cfg(windows)]
    shutdown: windows::CtrlShutdown,
    #[cfg(unix)]
    last: Option<(Signal, std::time::Instant)>,
}

impl Signals {
    /// Starts to listen, on the main thread.
    #[cfg(unix)]
    pub fn listen() -> Result<Self, Error> {
        let signals = Self::register()?;
        stuck::watch();
        Ok(signals)
    }

    #[cfg(unix)]
    fn register() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed =
            |error| Error::new(Kind::LocalIo, format!("cannot listen for signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            hangup: signal(SignalKind::hangup()).map_err(failed)?,
            last: None,
        })
    }

    /// Starts to listen.
    #[cfg(windows)]
    pub fn listen() -> Result<Self, Error> {
        let failed =
            |error| Error::new(Kind::LocalIo, format!("cannot listen for signals: {error}"));
        Ok(Self {
            ctrl_c: windows::ctrl_c().map_err(failed)?,
            ctrl_break: windows::ctrl_break().map_err(failed)?,
            close: windows::ctrl_close().map_err(failed)?,
            shutdown: windows::ctrl_shutdown().map_err(failed)?,
        })
    }

    /// Runs work to its end although a signal comes, and returns the first signal with the result.
    ///
    /// # Errors
    /// The first signal, if a second one came before the end.
    pub async fn outlast<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<(T, Option<Signal>), Signal> {
        let mut work = std::pin::pin!(work);
        let mut received = None;
        loop {
            tokio::select! {
                result = &mut work => return Ok((result, received)),
                signal = self.next() => match received {
                    None => received = Some(signal),
                    Some(first) => return Err(first),
                },
            }
        }
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub async fn next(&mut self) -> Signal {
        loop {
            let signal = tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
                _ = self.hangup.recv() => Signal::Hangup,
            };
            let is_echo =
                |(last, at): (Signal, std::time::Instant)| last == signal && at.elapsed() < ECHO;
            if !self.last.is_some_and(is_echo) {
                self.last = Some((signal, std::time::Instant::now()));
                return signal;
            }
        }
    }

    /// Waits for the next one. When the console is closed the system gives a program some seconds to end.
    #[cfg(windows)]
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.ctrl_c.recv() => Signal::Interrupt,
            _ = self.ctrl_break.recv() => Signal::Terminate,
            _ = self.shutdown.recv() => Signal::Terminate,
            _ = self.close.recv() => Signal::Hangup,
        }
    }
}
