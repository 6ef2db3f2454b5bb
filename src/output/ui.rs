//! The one way out: data to stdout, talk to stderr.

use std::fmt;
use std::io::{self, BufRead, BufWriter, Write};
use std::ops::Deref;
use std::sync::Arc;

use super::blocking::Blocking;
use super::human::Now;
use super::messages::Messages;
use super::settings::Settings;
use super::stdout::Stdout;
use crate::text;

/// Everything that the program says. Talk (`status`, `warn`, `hint`, …) is reached through [`Messages`].
pub struct Ui {
    pub(super) settings: Settings,
    pub(super) stdout: BufWriter<Box<dyn Write + Send>>,
    pub(super) stdin: Box<dyn BufRead + Send>,
    pub(super) messages: Arc<Messages>,
    pub(super) clock: fn() -> Now,
}

/// Where a Ui reads and writes.
pub struct Streams {
    pub stdin: Box<dyn BufRead + Send>,
    pub stdout: Box<dyn Write + Send>,
    pub stderr: Box<dyn Write + Send>,
}

impl Streams {
    /// Streams that say nothing.
    pub fn none() -> Self {
        Self {
            stdin: Box::new(io::empty()),
            stdout: Box::new(io::sink()),
            stderr: Box::new(io::sink()),
        }
    }
}

impl Ui {
    /// A Ui on the streams of this process.
    pub fn new(settings: Settings) -> Self {
        let streams = Streams {
            stdin: Box::new(io::BufReader::new(io::stdin())),
            stdout: text::for_console(Stdout, settings.stdout_terminal),
            stderr: text::for_console(Blocking(io::stderr()), settings.stderr_terminal),
        };
        Self::with_streams(settings, streams)
    }

    /// A Ui on any streams; drawn progress still goes to the terminal of this process.
    pub fn with_streams(settings: Settings, streams: Streams) -> Self {
        Self {
            messages: Arc::new(Messages::new(&settings, streams.stderr)),
            stdout: BufWriter::with_capacity(64 * 1024, streams.stdout),
            stdin: streams.stdin,
            settings,
            clock: Now::read,
        }
    }

    /// What the user chose.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Cuts tables to this many columns from now on.
    pub fn set_width(&mut self, columns: u16) {
        self.settings.width = Some(columns);
    }

    /// The voice on stderr, to be kept by tasks that run beside the command.
    pub fn messages(&self) -> Arc<Messages> {
        Arc::clone(&self.messages)
    }
}

impl Deref for Ui {
    type Target = Messages;

    fn deref(&self) -> &Messages {
        &self.messages
    }
}

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}
