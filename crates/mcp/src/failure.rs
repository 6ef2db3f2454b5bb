//! Why a tool could not do what it was asked for.

use crate::text::visible;

/// A failure, as the agent reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable name of its kind.
    pub code: &'static str,
    /// What failed, on what, and why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl Failure {
    /// A failure without a hint, that would come again.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retryable: false,
        }
    }

    /// Arguments that the tool does not take.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message)
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// The text of the answer, which holds nothing that acts.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "error ({}): {}",
            self.code,
            visible(self.message.as_bytes())
        );
        if let Some(hint) = &self.hint {
            text.push_str("\nhint: ");
            text.push_str(&visible(hint.as_bytes()));
        }
        if self.retryable {
            text.push_str("\nThe same call may succeed later.");
        }
        text
    }
}
