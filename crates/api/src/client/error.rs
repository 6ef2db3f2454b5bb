//! What can go wrong between this program and the API.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::redact;
pub use super::serde_messages::describe_json_error;

/// The error of the layer below, such as a [`std::io::Error`] further down its own chain of sources.
pub type Source = Box<dyn StdError + Send + Sync>;

/// A failed request.
///
/// Neither the text nor the sources of any variant hold the API key or the query of a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made.
    #[error("cannot connect to {server}: {reason}")]
    #[non_exhaustive]
    Connect {
        /// Scheme, host and port, and where they came from if the client knows.
        server: String,
        /// The innermost cause in words.
        reason: String,
        /// The failure of the HTTP client.
        source: Option<Source>,
    },

    /// The server's certificate or the TLS handshake failed.
    #[error("no secure connection to {server}: {reason}")]
    #[non_exhaustive]
    Tls {
        /// Scheme, host and port, and where they came from if the client knows.
        server: String,
        /// What is wrong, in words.
        reason: String,
        /// The failure of the HTTP client.
        source: Option<Source>,
    },

    /// The connection broke before the answer was whole.
    #[error("the connection to {server} broke: {reason}")]
    #[non_exhaustive]
    Broken {
        /// Scheme, host and port, and where they came from if the client knows.
        server: String,
        /// The innermost cause in words.
        reason: String,
        /// The failure of the HTTP client or of the WebSocket.
        source: Option<Source>,
    },

    /// The time limit of one request passed.
    #[error("no answer from {server} within {} s", limit.as_secs_f64())]
    #[non_exhaustive]
    TimedOut {
        /// Scheme, host and port, and where they came from if the client knows.
        server: String,
        /// The limit.
        limit: Duration,
        /// The failure of the HTTP client, if it was its limit.
        source: Option<Source>,
    },

    /// Nothing moved on a stream for too long.
    #[error("nothing moved between here and {server} for {} s", limit.as_secs_f64())]
    #[non_exhaustive]
    Stalled {
        /// Scheme, host and port.
        server: String,
        /// How long nothing moved.
        limit: Duration,
    },

    /// The API refused: its answer has a status that is not 2xx.
    #[error("{}", meaning(*status, message, key_source.as_deref()))]
    #[non_exhaustive]
    Status {
        /// The status of the answer.
        status: StatusCode,
        /// What the server said.
        message: String,
        /// The server's `x-request-id`, to ask its operator with.
        request_id: Option<String>,
        /// Whether the same request may succeed later.
        retryable: bool,
        /// Where the key of the request came from, if the client was told.
        key_source: Option<String>,
    },

    /// A storage refused an object.
    #[error("the storage at {server} refused ({status}): {message}")]
    #[non_exhaustive]
    Storage {
        /// Scheme, host and port.
        server: String,
        /// The status of the answer.
        status: StatusCode,
        /// What the storage said.
        message: String,
    },

    /// A redirect that is not followed, as it would carry the key, or repeat a request, elsewhere.
    #[error("{server} redirects to {to}, which is not followed")]
    #[non_exhaustive]
    Redirect {
        /// Scheme, host and port.
        server: String,
        /// Where the redirect leads.
        to: String,
    },

    /// A 404 for a path that every FastVM API has: most often the base URL leads elsewhere.
    #[error("{message}")]
    #[non_exhaustive]
    NotTheApi {
        /// Which path is missing where.
        message: String,
        /// The server's `x-request-id`.
        request_id: Option<String>,
        /// What to look at.
        hint: String,
    },

    /// A 2xx answer that is not what the contract says.
    #[error("unexpected answer from {server} to {what}: {reason}")]
    #[non_exhaustive]
    Unexpected {
        /// Scheme, host and port.
        server: String,
        /// The request.
        what: String,
        /// What is wrong with the answer.
        reason: String,
        /// The failure of the JSON reader, unless it would repeat what the server said.
        source: Option<Source>,
    },

    /// A streaming command ended without its exit event.
    #[error("the connection to the command was lost: its outcome is unknown")]
    #[non_exhaustive]
    StreamLost {
        /// The failure of the connection; `None` if it was closed.
        source: Option<Source>,
    },

    /// What was waited for is not ready, see [`Waited::ready`](crate::wait::Waited::ready).
    #[error("{message}")]
    #[non_exhaustive]
    NotReady {
        /// What is not ready, and its last status.
        message: String,
        /// Why the last question got no answer, if it got none.
        source: Option<Source>,
    },

    /// An id that cannot be put into a path.
    #[error("{0:?} is not an id")]
    InvalidId(String),

    /// A dry run stops before what would change something.
    #[error("a dry run sends nothing that changes anything")]
    DryRun,

    /// The client or a request could not be made.
    #[error("cannot set up the HTTP client: {reason}")]
    #[non_exhaustive]
    SetUp {
        /// What is wrong, in words.
        reason: String,
        /// The cause, if another library found it.
        source: Option<Source>,
    },
}

impl Error {
    /// Returns the error of a request that `server` did not answer within `limit`.
    pub fn timed_out(server: String, limit: Duration) -> Self {
        Self::TimedOut {
            server,
            limit,
            source: None,
        }
    }

    /// Returns the error of a stream from `server` on which nothing moved for `limit`.
    pub fn stalled(server: String, limit: Duration) -> Self {
        Self::Stalled { server, limit }
    }

    /// Returns the error of an answer with this status, as if an API had given it: for tests of what handles errors.
    pub fn refused(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Status {
            status,
            message: message.into(),
            request_id: None,
            retryable: false,
            key_source: None,
        }
    }

    pub(crate) fn set_up(reason: impl Into<String>) -> Self {
        Self::SetUp {
            reason: reason.into(),
            source: None,
        }
    }

    pub(crate) fn broken(server: String, reason: String) -> Self {
        Self::Broken {
            server,
            reason,
            source: None,
        }
    }

    pub(crate) fn lost() -> Self {
        Self::StreamLost { source: None }
    }

    /// Adds the cause to an error that can have one.
    pub(crate) fn caused_by(mut self, cause: impl Into<Source>) -> Self {
        if let Self::Connect { source, .. }
        | Self::Tls { source, .. }
        | Self::Broken { source, .. }
        | Self::TimedOut { source, .. }
        | Self::Unexpected { source, .. }
        | Self::StreamLost { source }
        | Self::NotReady { source, .. }
        | Self::SetUp { source, .. } = &mut self
        {
            *source = Some(cause.into());
        }
        self
    }

    /// Returns the HTTP status with which the API refused, or `None` if it did not.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns what the API said when it refused, without what its status means, or `None` if it did not refuse.
    pub fn server_message(&self) -> Option<&str> {
        match self {
            Self::Status { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Returns the server's `x-request-id`, or `None` if there was no answer or none in it.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Status { request_id, .. } | Self::NotTheApi { request_id, .. } => {
                request_id.as_deref()
            }
            _ => None,
        }
    }

    /// Returns whether the same request may succeed later: a server that is away or overloaded may come back.
    ///
    /// A client has tried again by itself, unless the request must not be repeated. See also
    /// [`is_outcome_unknown`](Self::is_outcome_unknown).
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Stalled { .. } => true,
            Self::Status { retryable, .. } => *retryable,
            _ => false,
        }
    }

    /// Returns whether the request may have been carried out all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        self.is_answer_lost() || self.status().is_some_and(|status| status.is_server_error())
    }

    /// Returns whether the request may have succeeded, and only its answer is lost or cannot be read.
    pub fn is_answer_lost(&self) -> bool {
        matches!(
            self,
            Self::Broken { .. } | Self::TimedOut { .. } | Self::Unexpected { .. }
        )
    }

    /// Returns whether a command whose request failed so may run, or have run.
    pub fn may_have_begun(&self) -> bool {
        let is_lost = matches!(self, Self::StreamLost { .. } | Self::Stalled { .. });
        is_lost || self.is_outcome_unknown()
    }

    /// Returns whether it is an answer that no FastVM API gives.
    pub fn is_unexpected(&self) -> bool {
        matches!(self, Self::Unexpected { .. })
    }

    /// Returns whether the thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Returns whether a quota is used up.
    pub fn is_over_quota(&self) -> bool {
        matches!(self, Self::Status { status, message, .. }
            if *status == StatusCode::FORBIDDEN && names_a_quota(message))
    }

    /// Returns whether the answer to a launch may mean that the API takes no timer. Nothing was launched then.
    pub fn may_refuse_timer(&self) -> bool {
        match self {
            Self::Status {
                status, message, ..
            } if [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(status) => {
                let said = message.to_lowercase();
                TIMER_REFUSALS.iter().any(|word| said.contains(word))
            }
            _ => self.status() == Some(StatusCode::NOT_IMPLEMENTED),
        }
    }

    /// Returns whether a VM is paused, which forbids what was asked of it.
    pub fn is_vm_paused(&self) -> bool {
        matches!(self, Self::Status { status, message, .. }
            if *status == StatusCode::CONFLICT && message.contains("paused"))
    }
}

/// Words of an answer that refuses a timer, or a field that the API does not know.
const TIMER_REFUSALS: [&str; 9] = [
    "ttl",
    "timer",
    "expir",
    "unknown",
    "unrecogni",
    "unexpected",
    "additional propert",
    "extra",
    "unsupported",
];

/// What the status of an answer means, with what the server said.
fn meaning(status: StatusCode, said: &str, key_source: Option<&str>) -> String {
    let code = status.as_u16();
    match code {
        401 => match key_source {
            Some(source) => {
                format!("the API does not accept the key from {source} (401): {said}")
            }
            None => format!("the API does not accept the key (401): {said}"),
        },
        403 if names_a_quota(said) => said.to_owned(),
        403 => format!("the API forbids this (403): {said}"),
        404 | 409 => said.to_owned(),
        429 => format!("the API asks to slow down (429): {said}"),
        408 => format!("the API gave up waiting (408): {said}"),
        400..500 => format!("the API refused this ({code}): {said}"),
        _ => format!("the API failed ({code}): {said}"),
    }
}

/// Returns whether a refusal is for want of quota.
fn names_a_quota(said: &str) -> bool {
    said.to_lowercase().contains("quota")
}

/// Says in one line what an error body holds: `error`, `message` or `detail`, else its first words.
pub(crate) fn text_of(status: StatusCode, body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|value| {
            ["error", "message", "detail"].iter().find_map(|name| {
                value
                    .get(name)?
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned)
            })
        });
    let said = said.unwrap_or_else(|| first_words(status, &String::from_utf8_lossy(body)));
    redact::queries(&said)
}

/// The first words of a text or HTML page, or the name of the status.
fn first_words(status: StatusCode, body: &str) -> String {
    let mut text = String::new();
    let visible = if body.trim_start().starts_with('<') {
        without_tags(body)
    } else {
        body.to_owned()
    };
    for word in visible.split_whitespace() {
        if text.len() + word.len() > 120 {
            let _ = write!(text, " …");
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    if text.is_empty() {
        status
            .canonical_reason()
            .unwrap_or("no explanation")
            .to_lowercase()
    } else {
        text
    }
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text
}

/// Returns the innermost reason of a chain of errors, the one that says what happened, without the system's number.
pub fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    match text.split_once(" (os error") {
        Some((before, _)) => before.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_is_read_by_its_first_string_among_error_message_detail() {
        let said = |body: &str| text_of(StatusCode::BAD_REQUEST, body.as_bytes());
        assert_eq!(said(r#"{"error":"","message":"m","detail":"d"}"#), "m");
        assert_eq!(said(r#"{"detail":["x"]}"#), r#"{"detail":["x"]}"#);
        assert_eq!(said("plain\ntext"), "plain text");
        assert_eq!(said(""), "bad request");
    }

    #[test]
    fn an_error_says_whether_to_ask_again_and_whether_something_was_done() {
        let server = || "http://h".to_owned();
        let limit = Duration::from_secs(1);
        let status = |code, may_pass| {
            let status = StatusCode::from_u16(code).unwrap();
            let mut error = Error::refused(status, "m");
            if let Error::Status { retryable, .. } = &mut error {
                *retryable = may_pass;
            }
            error
        };
        let connect = Error::Connect {
            server: server(),
            reason: server(),
            source: None,
        };
        let tls = Error::Tls {
            server: server(),
            reason: server(),
            source: None,
        };
        for (error, may_pass, unknown) in [
            (connect, true, false),
            (Error::broken(server(), server()), true, true),
            (Error::timed_out(server(), limit), true, true),
            (Error::stalled(server(), limit), true, false),
            (tls, false, false),
            (Error::lost(), false, false),
            (status(503, true), true, true),
            (status(500, false), false, true),
            (status(408, true), true, false),
            (status(409, false), false, false),
            (status(418, false), false, false),
            (status(429, true), true, false),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(error.may_pass(), may_pass, "{shown}");
            assert!(!error.is_not_found(), "{shown}");
            assert_eq!(error.is_outcome_unknown(), unknown, "{shown}");
        }
        assert!(status(404, false).is_not_found());
        for (error, begun) in [
            (Error::lost(), true),
            (Error::stalled(server(), limit), true),
            (status(500, false), true),
            (status(409, false), false),
        ] {
            assert_eq!(error.may_have_begun(), begun, "{error:?}");
        }
    }

    #[test]
    fn html_is_cut_to_its_words() {
        let page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
        assert_eq!(
            text_of(StatusCode::BAD_GATEWAY, page),
            "502 Bad Gateway 502 Bad Gateway"
        );
    }
}
