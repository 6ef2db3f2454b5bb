//! `GET /healthz`.

use serde::{Deserialize, Serialize};

/// Whether the API answers. Judge by the HTTP status; the text is free.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    #[serde(default)]
    pub status: String,
}
