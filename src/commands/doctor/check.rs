//! One thing that was looked at, and how it prints.

use serde::Serialize;

use crate::error::Error;
use crate::output::{Column, Style, Table};

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    Ok,
    /// VMs can be launched, but not all works or not for long.
    Warning,
    /// No VM can be launched.
    Failed,
    /// It could not be looked at, because of what failed before.
    Skipped,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// A character for people, or its like where only ASCII can be shown.
    pub(super) fn sign(self, is_ascii: bool) -> &'static str {
        match (self, is_ascii) {
            (Self::Ok, false) => "✓",
            (Self::Ok, true) => "+",
            (Self::Warning, _) => "!",
            (Self::Failed, false) => "✗",
            (Self::Failed, true) => "x",
            (Self::Skipped, false) => "–",
            (Self::Skipped, true) => "-",
        }
    }

    fn tone(self) -> Style {
        match self {
            Self::Ok => Style::Good,
            Self::Warning => Style::Busy,
            Self::Failed => Style::Bad,
            Self::Skipped => Style::Faint,
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    /// `cloud`, `settings` or `engine`.
    pub(super) area: &'static str,
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) detail: String,
    /// The command that mends it, or null.
    pub(super) fix: Option<String>,
}

impl Check {
    pub(super) fn new(
        area: &'static str,
        check: &'static str,
        state: State,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            area,
            check,
            state,
            detail: detail.into(),
            fix: None,
        }
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// What a failure says, with its hint as what mends it.
    pub(super) fn failed(area: &'static str, check: &'static str, error: &Error) -> Self {
        Self {
            fix: error.hint_text().map(str::to_owned),
            ..Self::new(area, check, State::Failed, error.message())
        }
    }
}

pub(crate) static CHECKS: Table<Check> = Table {
    noun: "check",
    plural: "checks",
    columns: &[
        Column::<Check>::new("area", |check| check.area.to_owned()),
        Column::<Check>::new("check", |check| check.check.to_owned()),
        Column::<Check>::new("state", |check| check.state.word().to_owned())
            .tone(|check| check.state.tone()),
        Column::<Check>::new("detail", |check| check.detail.clone()),
        Column::<Check>::new("fix", |check| check.fix.clone().unwrap_or_default()),
    ],
    name: |check| check.check,
    id: |check| check.check,
    empty_hint: None,
};
