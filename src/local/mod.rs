//! The local engine: the v1 API on this machine, with isolated Linux environments as VMs.
//!
//! [`start`] runs it on a thread of its own and says where it listens. Any number of engines, in any number of
//! processes, may work on one data folder: the state is in SQLite, the VMs are processes of their own.
//!
//! Data flows one way: `http` (routes, bodies) → `engine` (what a verb does) → `store`, `blobs`, `sandbox`.

mod address;
mod blobs;
mod connections;
mod egress;
mod engine;
mod error;
mod folder;
mod forward;
mod freeze_guard;
mod handle;
mod http;
mod keeper;
mod key;
mod maintenance;
mod options;
pub mod sandbox;
mod server;
pub mod serving;
mod store;

pub use error::Error;
pub use forward::forward;
pub use handle::{Engine, start};
pub use maintenance::{Status, reset, status};
pub use options::{Egress, Options, Workers, quotas};

/// Becomes the booter and init of a VM, the copier of a disk, the keeper of TTLs or the guard of a frozen VM, if that is
/// what this process was started for; it comes back from that only to exit. Must be called before anything else is done,
/// and costs a few comparisons.
pub fn intercept() -> Option<std::process::ExitCode> {
    sandbox::intercept()
        .or_else(keeper::intercept)
        .or_else(freeze_guard::intercept)
}

/// The API key of a data folder, made where there is none.
pub fn stored_key(data: &std::path::Path) -> Result<crate::secret::ApiKey, Error> {
    key::read_or_make(&folder::Folder::open(data)?.key())
}
