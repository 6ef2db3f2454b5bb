//! `POST /v1/vms/{id}/exec`, buffered and streaming.

use serde::{Deserialize, Serialize};

/// The media type that asks for a streaming answer.
pub const NDJSON: &str = "application/x-ndjson";

/// The most that a buffered answer holds of each stream, in bytes.
pub const BUFFERED_LIMIT: usize = 4 * 1024 * 1024;

/// A command to run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecRequest {
    /// Program and arguments, run without a shell. The first is not empty.
    pub command: Vec<String>,
    /// Base64 of all standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Server-side limit in seconds, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<i64>,
}

impl ExecRequest {
    /// Returns a request to run a program with its arguments, without input or time limit.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds all of the standard input.
    #[must_use]
    pub fn with_stdin(self, bytes: &[u8]) -> Self {
        Self {
            stdin: Some(super::base64::encode(bytes)),
            ..self
        }
    }
}

/// Returns bytes as `printf %b` of a shell takes them, for what is not text in a command: plain characters, the rest in octal.
pub fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("\\0{byte:03o}")),
        }
    }
    escaped
}

/// A command's outcome, buffered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecResponse {
    /// Unknown where a server left it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Standard output, as far as it was kept.
    pub stdout: String,
    /// Standard error, as far as it was kept.
    pub stderr: String,
    /// The server ended it at its time limit.
    pub timed_out: bool,
    /// Standard output was longer than [`BUFFERED_LIMIT`].
    pub stdout_truncated: bool,
    /// Standard error was longer than [`BUFFERED_LIMIT`].
    pub stderr_truncated: bool,
    /// How long it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
}

/// One line of a streaming answer.
///
/// `t` is `o` (stdout), `e` (stderr) or `x` (exit, always last). Clients skip lines with another `t`.
#[derive(Debug, Deserialize)]
pub struct ExecEvent<'a> {
    /// Which kind of line it is.
    #[serde(borrow)]
    pub t: std::borrow::Cow<'a, str>,
    /// Base64 of raw bytes; absent means none.
    #[serde(default, borrow)]
    pub d: Option<std::borrow::Cow<'a, str>>,
    /// Exit code; absent means 0.
    #[serde(default)]
    pub c: Option<i32>,
    /// Timed out; absent means false.
    #[serde(default)]
    pub to: Option<bool>,
    /// Duration in milliseconds.
    #[serde(default)]
    pub ms: Option<i64>,
}
