//! Transfers through fakes: a guest that runs the scripts with the host's shells, and a storage that is a folder.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod choices;
mod continued;
mod faults;
mod files;
mod matrix;
mod relays;
mod shards;
mod sync;
mod trees;
mod world;
