//! The body of a failed request.

use serde::{Deserialize, Serialize};

/// What a server sends with a status that is not 2xx.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, for people.
    pub error: String,
}
