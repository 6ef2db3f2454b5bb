//! Staging objects behind signed URLs: what storage is to the service.
//!
//! Whoever has the URL may use it, until it expires and only for what it says. The bytes are files; nothing of an
//! object is ever held in memory whole.

mod objects;
mod signature;

pub(crate) use objects::{Object, Objects, Upload};
pub(crate) use signature::{Operation, Refusal, Signer};
