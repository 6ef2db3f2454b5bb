//! The v1 contract as types: request and answer bodies, and nothing else.
//!
//! The client and the local engine share only these. Enumerations of the contract are open, so they are strings with
//! named constants. A client keeps the text of an answer beside the typed value ([`Record`]), which is how
//! unknown fields and values survive.

pub mod base64;
pub mod build;
pub mod console;
pub mod credential;
pub mod error;
pub mod exec;
pub mod file;
pub mod firewall;
pub mod health;
pub mod quota;
pub(crate) mod record;
pub mod service;
pub mod snapshot;
mod tolerant;
pub mod vm;
pub mod volume;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use record::Record;

/// Labels of a VM or snapshot: at most 256 keys of 1–256 bytes, values of at most 4096 bytes.
pub type Metadata = BTreeMap<String, String>;

/// Environment of a VM: names match `[A-Za-z_][A-Za-z0-9_]*`, values hold no line break and no NUL.
pub type EnvVars = BTreeMap<String, String>;

/// Answer to the deletion of a VM, snapshot, volume or credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deleted {
    /// Empty where a server left it out.
    #[serde(deserialize_with = "tolerant::id")]
    pub id: String,
    /// Whether it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

impl Deleted {
    /// Returns whether the answer says that the thing is still there.
    pub fn is_refused(&self) -> bool {
        self.deleted == Some(false)
    }
}
