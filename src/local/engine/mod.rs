//! What the verbs do. Knows no HTTP: errors say what is wrong, not with which status.

mod core;
mod error;
mod quotas;

pub(crate) use self::core::Core;
pub(crate) use self::error::Error;
