//! The voice on stderr, shared by the Ui and whatever shows progress.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::ApiOption;
use super::control::visible_lines;
use super::json::{self, Hidden, Layout};
use super::settings::{ProgressMode, Settings};
use crate::config::Terminal;

/// Columns of a line behind a spinner, at most.
#[derive(Clone, Copy)]
pub(super) struct Width(u16);

impl Width {
    /// As the window is now; the last column stays free, because some terminals wrap when it is used.
    pub(super) fn now(self) -> usize {
        let width = Terminal::width_now().map_or(self.0, |now| now.min(self.0));
        usize::from(width).saturating_sub(3)
    }
}

/// Lines on stderr and the progress drawn below them.
pub struct Messages {
    stderr: Mutex<Box<dyn Write + Send>>,
    bars: MultiProgress,
    pub(super) drawing: Drawing,
    quiet: bool,
    verbose: u8,
    color: bool,
    pub(super) is_ascii: bool,
    width: Option<u16>,
    api_option: ApiOption,
}

/// How progress appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// A line that redraws itself.
    Drawn,
    /// Lines of text now and then, because the user asked for them.
    Lines,
    /// Lines of text for transfers only: nothing can be drawn, and small steps are not worth a line.
    Sparse,
    /// Lines of JSON.
    Events,
    Nothing,
}

impl Messages {
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
            ProgressMode::Auto => Drawing::Sparse,
        };
        let target = match drawing {
            Drawing::Drawn => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        Self {
            stderr: Mutex::new(stderr),
            bars: MultiProgress::with_draw_target(target),
            drawing,
            quiet: settings.quiet,
            verbose: settings.verbose,
            color: settings.stderr_color,
            is_ascii: settings.is_ascii,
            width: settings.width,
            api_option: settings.api_option.clone(),
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

    /// What a library told, whose level was looked at.
    pub(super) fn event(&self, text: &str) {
        self.say(Label::None, text);
    }

    /// Bytes to stderr as they are, for what a command in a VM wrote there.
    ///
    /// # Errors
    /// Those of stderr.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.above_progress(|| self.write(bytes))
    }

    /// Talks to another stream from now on; the one of old comes back.
    pub(super) fn exchange(&self, stderr: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        let mut now = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *now, stderr)
    }

    /// As [`Messages::bytes`], for a caller that already stands above the progress.
    pub(super) fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.write_all(bytes)?;
        stderr.flush()
    }

    /// Runs something that writes to the terminal while no progress is drawn there.
    pub(super) fn above_progress<R>(&self, write: impl FnOnce() -> R) -> R {
        match self.drawing {
            Drawing::Drawn => self.bars.suspend(write),
            _ => write(),
        }
    }

    /// Room for text behind a spinner.
    pub(super) fn width_left(&self) -> Width {
        Width(self.width.unwrap_or(80))
    }

    /// The progress drawn on stderr.
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A line of progress, which `--quiet` has already silenced where it must.
    pub(super) fn progress_line(&self, text: &str) {
        self.say(Label::None, text);
    }

    /// A line of JSON, such as an event of progress or the error of a command; never mute, and harmless to a terminal.
    pub fn json_line(&self, value: &impl serde::Serialize) {
        let Ok(json) = serde_json::to_string(value) else {
            return;
        };
        let mut line = Vec::with_capacity(json.len() + 1);
        // when stderr is gone there is nobody left to tell
        let _ = json::write(&mut line, &json, Layout::Compact, Hidden::Escape)
            .and_then(|()| writeln!(line))
            .and_then(|()| self.bytes(&line));
    }

    /// Returns the text as [`Messages`] would say it: its commands repeat the option that chose the API.
    pub fn repeat_api_option<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.api_option.repeat_in(text)
    }

    fn say(&self, label: Label, text: &str) {
        let text = visible_lines(text);
        let text = self.repeat_api_option(&text);
        let line = match label.word() {
            None => format!("{text}\n"),
            Some((word, code)) if self.color => format!("\x1b[1;{code}m{word}:\x1b[0m {text}\n"),
            Some((word, _)) => format!("{word}: {text}\n"),
        };
        // when stderr is gone there is nobody left to tell
        let _ = self.bytes(line.as_bytes());
    }
}

impl fmt::Debug for Messages {
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

#[cfg(test)]
mod tests {
    use super::super::test_ui::ui;
    use super::*;

    fn said(settings: Settings) -> String {
        let (ui, stdout, stderr) = ui(settings, "");
        ui.status("working");
        ui.warn("old key\x1b[31m\nsecond line");
        ui.hint("fastvm login");
        ui.error("no VM 'x'", Some("fastvm vm list"));
        ui.verbose(1, "step");
        ui.verbose(2, "request");
        assert_eq!(stdout.text(), "");
        stderr.text()
    }

    #[test]
    fn talk_is_labelled_and_harmless() {
        assert_eq!(
            said(Settings {
                verbose: 1,
                ..Settings::default()
            }),
            "working\nwarning: old key\\x1b[31m\nsecond line\nhint: fastvm login\nerror: no VM 'x'\nhint: fastvm vm list\nstep\n"
        );
    }

    #[test]
    fn quiet_leaves_warnings_and_errors() {
        assert_eq!(
            said(Settings {
                quiet: true,
                ..Settings::default()
            }),
            "warning: old key\\x1b[31m\nsecond line\nerror: no VM 'x'\nhint: fastvm vm list\n"
        );
    }

    #[test]
    fn a_line_of_json_stays_json() {
        let (ui, _, stderr) = ui(
            Settings {
                quiet: true,
                ..Settings::default()
            },
            "",
        );
        ui.json_line(&serde_json::json!({"error": {"message": "no VM '\u{9b}31m\n'"}}));
        assert_eq!(
            stderr.text(),
            "{\"error\":{\"message\":\"no VM '\\u009b31m\\n'\"}}\n"
        );
    }

    #[test]
    fn colour_marks_the_label_only() {
        let colored = said(Settings {
            stderr_color: true,
            ..Settings::default()
        });
        assert!(
            colored.starts_with("working\n\x1b[1;33mwarning:\x1b[0m old key"),
            "{colored:?}"
        );
    }

    #[test]
    fn progress_is_drawn_only_where_escapes_are_welcome() {
        let drawing =
            |settings: Settings| Messages::new(&settings, Box::new(std::io::sink())).drawing;
        let terminal = Settings {
            stderr_terminal: true,
            stderr_color: true,
            ..Settings::default()
        };
        assert_eq!(drawing(terminal.clone()), Drawing::Drawn);
        assert_eq!(
            drawing(Settings {
                stderr_color: false,
                ..terminal.clone()
            }),
            Drawing::Sparse
        );
        assert_eq!(
            drawing(Settings {
                progress: ProgressMode::None,
                ..terminal.clone()
            }),
            Drawing::Nothing
        );
        assert_eq!(
            drawing(Settings {
                quiet: true,
                progress: ProgressMode::Json,
                ..terminal
            }),
            Drawing::Nothing
        );
        assert_eq!(drawing(Settings::default()), Drawing::Sparse);
    }
}
