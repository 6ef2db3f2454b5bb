//! The client of the v1 API: one file a resource, one [`send`](client::Client) that every call goes through.
//!
//! The storage client, for signed URLs, is apart: it has no key and adds no header.

pub mod builds;
mod certificate;
pub mod client;
pub mod console;
pub mod credentials;
mod curl;
pub mod error;
pub mod exec;
pub(crate) mod exec_events;
pub mod files;
pub mod firewalls;
pub mod health;
mod log;
pub mod quotas;
pub mod raw;
mod redact;
mod request;
mod retry;
mod send;
mod serde_messages;
pub mod services;
pub mod snapshots;
pub mod storage;
mod tls;
pub mod vms;
pub mod volumes;
pub mod wait;

pub use client::{Client, Options};
pub use error::Error;
pub use log::Log;
pub(crate) use serde_messages::serde_message;
