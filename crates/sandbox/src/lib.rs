//! One isolated Linux environment, a *machine*: namespaces, an overlay root, and an init that runs programs in it.
//!
//! # Layout
//! - Outside: [`Host`] prepares what machines stand on and boots them; [`Machine`] is a handle on one (`place`
//!   reaches it), with a [`Process`], a [`Console`] or a [`GuestFile`] in it; `copy`, `copier`, `attributes`, `content` and `discard`
//!   care for trees; `stray` finds machines whose state is lost, `own_files` lets measure what guests closed; `image`, `etc` and
//!   `credentials` say what of this computer shows inside, `hidden` what does not; `disk_lock` keeps a disk to one machine,
//!   `volume_owners` converts old volumes; `trial` tells whether machines work.
//! - A start: `boot` (the engine's side) → `program_file` and `booter` (single-threaded, between the two; `cgroup`, `freezer`,
//!   `kernel_limits`) → `overlay`, `device` and `inner_path` (the root is built) → `guest_root` and `ready` (pid 1 moves in,
//!   under `syscall_filter`).
//! - Inside: `init` serves with the descriptors of `handles`; `launch`, `ports`, `terminal`, `parcel` and `halt` do what it is asked.
//! - Between: `message` and `socket`. Below: `kernel`, the system calls without a safe form.

#![cfg(target_os = "linux")]

mod attributes;
mod boot;
mod boot_error;
mod booter;
mod cgroup;
mod console;
mod content;
mod control_socket;
mod copier;
mod copy;
mod credentials;
mod device;
mod disk_lock;
mod error;
mod etc;
mod file_write;
mod freezer;
mod guest_file;
mod guest_root;
mod handles;
mod hidden;
mod host;
mod image;
mod init;
mod init_setup;
mod inner_path;
mod kernel;
mod kernel_limits;
mod launch;
mod machine;
mod message;
mod overlay;
mod own_files;
mod ports;
mod process;
mod program_file;
mod remove_tree;
mod self_test;
mod socket;
mod spec;
mod stop;
mod stray;
mod syscall_filter;
mod syscall_rules;
mod syscall_table;
mod terminal;
mod tree;
mod volume_owners;

pub use boot::Booter;
pub use booter::INIT as INIT_NAME;
pub use console::Console;
pub use error::Error;
pub use guest_file::GuestFile;
pub use host::{Host, mark_of};
pub use kernel::let_large_writes_fail;
pub use machine::{Machine, Stopped};
pub use own_files::read_all_own_files;
pub use process::{Process, Running};
pub use remove_tree::remove_tree;
pub use spec::{
    BootSpec, ExecSpec, Exit, HostOptions, LimitsSupport, Mode, Rootfs, Stdin, VolumeMount,
};
pub use stray::{Stray, find_helpers, find_inits, remove_groups};

/// Becomes the booter and init of a machine, or the copier of a tree, if that is what this process was started for; it
/// comes back from that only to exit. Must be called before anything else is done, and costs two comparisons.
pub fn intercept() -> Option<std::process::ExitCode> {
    booter::intercept().or_else(copier::intercept)
}
