//! `GET /healthz`.

use serde::{Deserialize, Serialize};

/// Whether the API answers. Judge by the HTTP status; the text is free.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// What the server says of itself.
    pub status: String,
}
