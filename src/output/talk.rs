//! The voice on stderr, shared by the Ui and whatever shows progress.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::control::visible_lines;
use super::settings::{ProgressMode, Settings};

/// Lines on stderr and the progress drawn below them.
pub struct Talk {
    stderr: Mutex<Box<dyn Write + Send>>,
    bars: MultiProgress,
    pub(super) drawing: Drawing,
    /// Whether stderr is a pipe or file, where transfers leave plain lines.
    pub(super) piped: bool,
    quiet: bool,
    verbose: u8,
    color: bool,
    pub(super) width: Option<u16>,
}

/// How progress appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// A line that redraws itself.
    Drawn,
    /// Lines of text now and then.
    Lines,
    /// Lines of JSON.
    Events,
    Nothing,
}

impl Talk {
    pub(super) fn new(settings: &Settings, stderr: Box<dyn Write + Send>) -> Self {
        let drawing = match settings.progress {
            _ if settings.quiet => Drawing::Nothing,
            ProgressMode::None => Drawing::Nothing,
            ProgressMode::Plain => Drawing::Lines,
            ProgressMode::Json => Drawing::Events,
            // redrawing takes escape sequences, and without colour there are none
            ProgressMode::Auto if settings.stderr_terminal && settings.stderr_color => {
                Drawing::Drawn
            }
            ProgressMode::Auto => Drawing::Lines,
        };
        let target = match drawing {
            Drawing::Drawn => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        Self {
            stderr: Mutex::new(stderr),
            bars: MultiProgress::with_draw_target(target),
            drawing,
            piped: settings.progress == ProgressMode::Auto && !settings.stderr_terminal,
            quiet: settings.quiet,
            verbose: settings.verbose,
            color: settings.stderr_color,
            width: settings.width,
        }
    }

    /// What is going on; mute with `--quiet`.
    pub fn status(&self, text: &str) {
        if !self.quiet {
            self.say(Label::None, text);
        }
    }

    /// What the user should know although it works.
    pub fn warn(&self, text: &str) {
        self.say(Label::Warning, text);
    }

    /// The command to run next; mute with `--quiet`.
    pub fn hint(&self, text: &str) {
        if !self.quiet {
            self.say(Label::Hint, text);
        }
    }

    /// What failed, and the command that may help.
    pub fn error(&self, text: &str, hint: Option<&str>) {
        self.say(Label::Error, text);
        if let Some(hint) = hint {
            self.say(Label::Hint, hint);
        }
    }

    /// A step that only `-v` (level 1), `-vv` (2) or `-vvv` (3) shows.
    pub fn verbose(&self, level: u8, text: &str) {
        if self.verbose >= level {
            self.say(Label::None, text);
        }
    }

    /// Bytes to stderr as they are, for what a command in a VM wrote there.
    ///
    /// # Errors
    /// Those of stderr.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.above_progress(|| {
            let mut stderr = self
                .stderr
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            stderr.write_all(bytes)?;
            stderr.flush()
        })
    }

    /// Runs something that writes to the terminal while no progress is drawn there.
    pub(super) fn above_progress<R>(&self, write: impl FnOnce() -> R) -> R {
        match self.drawing {
            Drawing::Drawn => self.bars.suspend(write),
            _ => write(),
        }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    fn say(&self, label: Label, text: &str) {
        let text = visible_lines(text);
        let line = match label.word() {
            None => format!("{text}\n"),
            Some((word, code)) if self.color => format!("\x1b[1;{code}m{word}:\x1b[0m {text}\n"),
            Some((word, _)) => format!("{word}: {text}\n"),
        };
        // when stderr is gone there is nobody left to tell
        let _ = self.bytes(line.as_bytes());
    }
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk")
            .field("drawing", &self.drawing)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Label {
    None,
    Warning,
    Hint,
    Error,
}

impl Label {
    /// The word before the colon and its colour code.
    fn word(self) -> Option<(&'static str, u8)> {
        match self {
            Self::None => None,
            Self::Warning => Some(("warning", 33)),
            Self::Hint => Some(("hint", 36)),
            Self::Error => Some(("error", 31)),
        }
    }
}
