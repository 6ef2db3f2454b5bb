//! The FastVM v1 API: its [types], and a client.

pub mod secret;
pub mod types;

#[cfg(feature = "client")]
pub mod client;
#[cfg(all(feature = "client", fuzzing))]
#[doc(hidden)]
pub use client::fuzzing;
#[cfg(feature = "client")]
pub use client::{
    Client, Error, Log, Options, builds, console, credentials, error, exec, files, firewalls,
    health, quotas, raw, serde_message, services, snapshots, storage, vms, volumes, wait,
};
