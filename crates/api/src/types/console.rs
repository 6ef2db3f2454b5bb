//! `POST /v1/vms/{id}/console-token`, and what a console's socket carries beside bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What opens one console.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsoleToken {
    /// Good for one connection; a secret.
    pub token: String,
    /// Life of the token, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_sec: Option<i32>,
    /// A path on the API host, or a whole `ws://` or `wss://` URL.
    pub websocket_path: String,
}

/// The size of the terminal, in characters: the first message, and one for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "resize")]
pub struct Resize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}

impl fmt::Debug for ConsoleToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleToken")
            .field("websocket_path", &self.websocket_path)
            .finish_non_exhaustive()
    }
}
