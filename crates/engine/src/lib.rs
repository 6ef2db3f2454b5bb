//! The local engine: the v1 API on this machine, with isolated Linux environments as VMs.
//!
//! [`start`] runs it on a thread of its own and says where it listens. Any number of engines, in any number of
//! processes, may work on one data folder: the state is in SQLite, the VMs are processes of their own.
//!
//! Data flows one way: `http` (routes, bodies) → `engine` (what a verb does) → `store`, `blobs`, `sandbox`.

#![cfg(target_os = "linux")]

mod address;
mod background;
mod blobs;
mod connections;
mod disk;
mod disk_watch;
mod egress;
mod engine;
mod error;
mod folder;
mod handle;
mod host_boot;
mod http;
mod inspect;
mod keeper;
mod key;
mod leftovers;
mod maintenance;
mod open_files;
mod options;
mod presence;
mod repair;
mod reserve;
mod server;
pub mod serving;
mod store;

pub use error::Error;
pub(crate) use error::{explain, is_full};
pub use handle::{Engine, start};
pub(crate) use host_boot::host_boot;
pub use inspect::{Condition, Finding, Inspection, inspect, mend};
pub use leftovers::{Leftover, leftovers, remove_leftover};
pub use maintenance::{Remains, Reset, Status, remains, reset, status};
pub use options::{Egress, Options, Workers, quotas};
pub use repair::{Repair, Thing, repair};

/// Becomes the booter and init of a VM, the copier of a disk or the keeper of TTLs and disks, if that is what this process
/// was started for; it comes back from that only to exit. Must be called before anything else is done, and costs a few
/// comparisons.
pub fn intercept() -> Option<std::process::ExitCode> {
    fastvm_sandbox::intercept().or_else(keeper::intercept)
}

/// The API key of a data folder, made where there is none.
pub fn stored_key(data: &std::path::Path) -> Result<fastvm_api::secret::ApiKey, Error> {
    key::read_or_make(&folder::Folder::open(data)?.key())
}
