//! HTTP services of a VM.

use serde::{Deserialize, Serialize};

/// A service as saved in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedService {
    pub name: String,
    pub port: i32,
    #[serde(default)]
    pub h2c: bool,
}
