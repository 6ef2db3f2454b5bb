//! What can go wrong between this program and the API.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::Value;

/// A failed request. No variant holds a URL's query or the key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("cannot connect to {server}: {reason}")]
    Connect { server: String, reason: String },

    /// The server's certificate or the TLS handshake failed.
    #[error("no secure connection to {server}: {reason}")]
    Tls { server: String, reason: String },

    /// The connection broke before the answer was whole.
    #[error("the connection to {server} broke: {reason}")]
    Broken { server: String, reason: String },

    /// The time limit of one request passed.
    #[error("no answer from {server} within {limit}")]
    TimedOut { server: String, limit: String },

    /// Nothing moved on a stream for too long.
    #[error("nothing moved between here and {server} for {limit}")]
    Stalled { server: String, limit: String },

    /// An answer with a status that is not 2xx.
    #[error("{message}")]
    Status {
        status: StatusCode,
        message: String,
        request_id: Option<String>,
        retryable: bool,
        /// Where the key of the request came from.
        key_source: String,
    },

    /// A storage refused an object.
    #[error("the storage at {server} refused ({status}): {message}")]
    Storage {
        server: String,
        status: StatusCode,
        message: String,
    },

    /// A redirect that is not followed, as it would carry the key, or repeat a request, elsewhere.
    #[error("{server} redirects to {to}, which is not followed")]
    Redirect { server: String, to: String },

    /// A 404 for a path that every FastVM API has.
    #[error("{message}")]
    NotTheApi {
        message: String,
        request_id: Option<String>,
        /// What to look at.
        hint: String,
    },

    /// A 2xx answer that is not what the contract says.
    #[error("unexpected answer from {server} to {what}: {reason}")]
    Unexpected {
        server: String,
        what: String,
        reason: String,
    },

    /// A streaming command ended without its exit event.
    #[error("the connection to the command was lost: its outcome is unknown")]
    StreamLost,

    /// An id that cannot be put into a path.
    #[error("{0:?} is not an id")]
    BadId(String),

    /// A dry run stops before what would change something.
    #[error("a dry run sends nothing that changes anything")]
    DryRun,

    /// The client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    SetUp(String),
}

impl Error {
    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the request may have been carried out all the same.
    pub fn leaves_the_outcome_unknown(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::TimedOut { .. } | Self::Unexpected { .. } => true,
            Self::Status { status, .. } => status.is_server_error(),
            _ => false,
        }
    }

    /// The message as a command reports it, with what the status means.
    pub fn in_words(&self) -> String {
        match self {
            Self::Status {
                status,
                message,
                key_source,
                ..
            } => meaning(*status, message, key_source),
            other => other.to_string(),
        }
    }

    /// Returns whether the same request may succeed later: a server that is away or overloaded may come back.
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

    /// Returns whether it is an answer that no FastVM API gives.
    pub fn is_unexpected(&self) -> bool {
        matches!(self, Self::Unexpected { .. })
    }

    /// Returns whether the answer may be lost to what was done all the same.
    pub fn loses_the_answer(&self) -> bool {
        matches!(
            self,
            Self::Broken { .. } | Self::TimedOut { .. } | Self::Unexpected { .. }
        )
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

    /// Returns whether a VM is paused, which forbids what was asked of it.
    pub fn says_paused(&self) -> bool {
        matches!(self, Self::Status { status, message, .. }
            if *status == StatusCode::CONFLICT && message.contains("paused"))
    }
}

/// What the status of an answer means, with what the server said.
fn meaning(status: StatusCode, said: &str, key_source: &str) -> String {
    let code = status.as_u16();
    match code {
        401 => format!("the API does not accept the key from {key_source} (401): {said}"),
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
    said.unwrap_or_else(|| first_words(status, &String::from_utf8_lossy(body)))
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

/// The innermost reason of a chain of errors: the one that says what happened.
pub fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
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
        let status = |code, retryable| Error::Status {
            status: StatusCode::from_u16(code).unwrap(),
            message: "m".to_owned(),
            request_id: None,
            retryable,
            key_source: "k".to_owned(),
        };
        let (reason, limit) = (server, server);
        for (error, may_pass, unknown) in [
            (
                Error::Connect {
                    server: server(),
                    reason: reason(),
                },
                true,
                false,
            ),
            (
                Error::Broken {
                    server: server(),
                    reason: reason(),
                },
                true,
                true,
            ),
            (
                Error::TimedOut {
                    server: server(),
                    limit: limit(),
                },
                true,
                true,
            ),
            (
                Error::Stalled {
                    server: server(),
                    limit: limit(),
                },
                true,
                false,
            ),
            (
                Error::Tls {
                    server: server(),
                    reason: reason(),
                },
                false,
                false,
            ),
            (Error::StreamLost, false, false),
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
            assert_eq!(error.leaves_the_outcome_unknown(), unknown, "{shown}");
        }
        assert!(status(404, false).is_not_found());
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
