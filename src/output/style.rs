//! Colours by meaning.

use std::borrow::Cow;

/// What a coloured word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Good,
    /// Under way, or in need of a look.
    Busy,
    Bad,
    /// Of no interest now.
    Faint,
    Plain,
}

impl Style {
    /// Tone of a status word of the API, an open enumeration.
    pub fn of_status(status: &str) -> Self {
        match status {
            "running" | "ready" | "completed" | "mounted" | "ok" | "active" => Self::Good,
            "error" | "failed" | "rotationRequired" => Self::Bad,
            "stopped" | "paused" | "deleted" | "unmounted" => Self::Faint,
            "pending" => Self::Busy,
            status if status.ends_with("ing") => Self::Busy,
            _ => Self::Plain,
        }
    }

    /// The text between the escape sequences of this tone.
    pub(super) fn paint(self, text: &str) -> Cow<'_, str> {
        let code = match self {
            Self::Good => "32",
            Self::Busy => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Plain => return Cow::Borrowed(text),
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}
