//! One failure as the user sees it: kind, message, hint. Each room's own error becomes one of these.

mod api;
#[cfg(target_os = "linux")]
mod engine;

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;

/// What sort of failure it is; decides the exit code and the `code` of the JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Usage,
    NotFound,
    Ambiguous,
    Auth,
    Forbidden,
    Invalid,
    Conflict,
    Quota,
    RateLimited,
    Network,
    Tls,
    StreamLost,
    WaitTimeout,
    CommandTimeout,
    VmFailed,
    Server,
    Partial,
    /// None of several targets could be done, and not for one reason.
    AllFailed,
    /// A command in a VM ended with a code of its own.
    CommandFailed,
    Declined,
    Interrupted(i32),
    Transfer,
    Engine,
    LocalIo,
    /// A dry run got to what it does not send.
    DryRun,
    /// The reader of stdout went away: the program ends without a word.
    BrokenPipe,
}

impl Kind {
    /// The stable name in JSON errors.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::Auth => "auth",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::RateLimited => "rate_limited",
            Self::Network => "network",
            Self::Tls => "tls",
            Self::StreamLost => "stream_lost",
            Self::WaitTimeout => "wait_timeout",
            Self::CommandTimeout => "command_timeout",
            Self::VmFailed => "vm_failed",
            Self::Server => "server",
            Self::Partial => "partial",
            Self::AllFailed => "all_failed",
            Self::CommandFailed => "command_failed",
            Self::Declined => "declined",
            Self::Interrupted(_) => "interrupted",
            Self::Transfer => "transfer",
            Self::Engine => "engine",
            Self::LocalIo => "local_io",
            Self::DryRun => "dry_run",
            Self::BrokenPipe => "broken_pipe",
        }
    }

    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Usage => Exit::USAGE,
            Self::NotFound | Self::Ambiguous => Exit::NOT_FOUND,
            Self::Auth | Self::Forbidden => Exit::AUTH,
            Self::Invalid | Self::Conflict => Exit::REFUSED,
            Self::Quota | Self::RateLimited => Exit::QUOTA,
            Self::Network | Self::Tls | Self::StreamLost => Exit::NETWORK,
            Self::WaitTimeout => Exit::WAIT_TIMEOUT,
            Self::CommandTimeout => Exit::COMMAND_TIMEOUT,
            Self::Partial => Exit::PARTIAL,
            Self::Declined => Exit::DECLINED,
            Self::Interrupted(signal) => Exit::of_signal(signal),
            Self::DryRun | Self::BrokenPipe => Exit::SUCCESS,
            Self::AllFailed
            | Self::CommandFailed
            | Self::VmFailed
            | Self::Server
            | Self::Transfer
            | Self::Engine
            | Self::LocalIo => Exit::FAILURE,
        }
    }
}

/// A failure: what failed, on what, why; then what to do about it.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: Kind,
    message: String,
    hint: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    target: Option<String>,
    id: Option<String>,
    retryable: bool,
    exit: Option<Exit>,
    failed: Vec<Failed>,
}

/// One of several targets that something could not be done to.
#[derive(Clone, Debug, Serialize)]
struct Failed {
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    code: &'static str,
    message: String,
}

/// Takes out the numbers that the standard library puts behind the reasons of the system: ` (os error 2)`.
fn without_numbers(message: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut parts = message.split(NUMBER);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.parse::<i32>().is_ok() => text.push_str(rest),
            _ => text.extend([NUMBER, part]),
        }
    }
    text
}

impl Error {
    /// A failure of a kind; the message is lower case, without a full stop, and names the thing.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: without_numbers(&message.into()),
            hint: None,
            status: None,
            request_id: None,
            target: None,
            id: None,
            retryable: false,
            exit: None,
            failed: Vec::new(),
        }))
    }

    /// Input that was refused here, before any request.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Adds what to do: a command, or a short sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a hint unless there is one already.
    #[must_use]
    pub fn or_hint(self, hint: impl FnOnce() -> String) -> Self {
        if self.0.hint.is_some() {
            self
        } else {
            self.hint(hint())
        }
    }

    /// Adds the HTTP status and the request id of the answer.
    #[must_use]
    pub fn answered(mut self, status: u16, request_id: Option<String>) -> Self {
        self.0.status = Some(status);
        self.0.request_id = request_id;
        self
    }

    /// Names the thing that the failure is about as the user typed it, for the JSON form.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.0.target = Some(target.into());
        self
    }

    /// Names the thing that the failure is about, unless that is done.
    #[must_use]
    pub fn or_target(self, target: &str) -> Self {
        if self.0.target.is_some() {
            self
        } else {
            self.target(target)
        }
    }

    /// Adds the id of the thing that the failure is about. It is the target, too, where none was typed.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = Some(id.into());
        self
    }

    /// Says that the same command may succeed if it is run again.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Replaces the exit code of the kind, as `exec` and `run` do.
    #[must_use]
    pub fn exits(mut self, exit: Exit) -> Self {
        self.0.exit = Some(exit);
        self
    }

    /// Names the targets that failed, and why each did.
    #[must_use]
    pub fn failed(mut self, failures: &[Self]) -> Self {
        let failed = failures.iter().map(|failure| Failed {
            target: failure.target_text().map(str::to_owned),
            id: failure.0.id.clone(),
            code: failure.kind().code(),
            message: failure.message().to_owned(),
        });
        self.0.failed = failed.collect();
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn reworded(mut self, message: impl Into<String>) -> Self {
        self.0.message = without_numbers(&message.into());
        self
    }

    /// Replaces the message, the hint and the messages of what failed.
    #[must_use]
    pub fn map_text(mut self, map: impl Fn(&str) -> String) -> Self {
        let parts = &mut *self.0;
        let failed = parts.failed.iter_mut().map(|failed| &mut failed.message);
        for text in failed.chain(&mut parts.hint).chain([&mut parts.message]) {
            *text = map(text);
        }
        self
    }

    /// Puts words before the message: `context: message`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// Keeps to the exit codes of `exec` and `run`, so that a failure here is not taken for the command's.
    #[must_use]
    pub fn of_a_command(self) -> Self {
        let own = match self.kind() {
            Kind::Usage
            | Kind::Interrupted(_)
            | Kind::CommandTimeout
            | Kind::BrokenPipe
            | Kind::DryRun => true,
            _ => self.0.exit.is_some(),
        };
        if own { self } else { self.exits(Exit::NOT_RUN) }
    }

    /// Adds a second failure after the message: `message; second`.
    #[must_use]
    pub fn also(mut self, second: &str) -> Self {
        self.0.message = format!("{}; {second}", self.0.message);
        self
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub fn exit(&self) -> Exit {
        self.0.exit.unwrap_or_else(|| self.0.kind.exit())
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the same command may succeed if it is run again.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    fn target_text(&self) -> Option<&str> {
        self.0.target.as_deref().or(self.0.id.as_deref())
    }

    /// The JSON form: one line, the last on stderr when a JSON format was asked for.
    pub fn to_json(&self) -> String {
        let parts = &self.0;
        let report = Report {
            error: Body {
                code: parts.kind.code(),
                message: &parts.message,
                hint: parts.hint.as_deref(),
                status: parts.status,
                request_id: parts.request_id.as_deref(),
                target: self.target_text(),
                id: parts.id.as_deref(),
                retryable: parts.retryable,
                exit_code: self.exit().0,
                failed: &parts.failed,
            },
        };
        serde_json::to_string(&report).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Report<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
    status: Option<u16>,
    request_id: Option<&'a str>,
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    retryable: bool,
    exit_code: u8,
    #[serde(skip_serializing_if = "<[Failed]>::is_empty")]
    failed: &'a [Failed],
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.code(), self.0.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_not_shown() {
        for (message, shown) in [
            (
                "cannot read x: No such file (os error 2)",
                "cannot read x: No such file",
            ),
            ("a (os error 2) and b (os error 13), c", "a and b, c"),
            ("a file (os error x) stays", "a file (os error x) stays"),
            ("no end (os error 2", "no end (os error 2"),
        ] {
            assert_eq!(Error::usage(message).message(), shown);
        }
    }
}
