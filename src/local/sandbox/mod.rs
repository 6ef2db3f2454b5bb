//! One isolated Linux environment, a *machine*: namespaces, an overlay root, and an init that runs programs in it.
//!
//! # Layout
//! - Outside: [`Host`] prepares what machines stand on and boots them, [`Machine`] is a handle on one,
//!   [`Process`] on a program in it.
//! - `image` and `etc`: what of this computer shows inside; `trial`: whether machines work here.
//! - `boot` (the engine's side) → `booter` (single-threaded, between the two) → `overlay` and
//!   `guest_root` (the mounts) → `init` (pid 1) with `launch`, `ports`, `terminal` and `parcel`.
//! - `message` and `socket`: what they say to each other; `kernel`: system calls without a safe form.

mod boot;
mod booter;
mod cgroup;
mod console;
mod content;
mod copy;
mod device;
mod discard;
mod error;
mod etc;
mod guest_file;
mod guest_root;
mod halt;
mod host;
mod image;
mod init;
mod inner_path;
mod kernel;
mod launch;
mod machine;
mod message;
mod overlay;
mod parcel;
mod ports;
mod process;
mod socket;
mod spec;
mod step;
mod terminal;
mod tree;
mod trial;

pub use booter::intercept;
pub use console::Console;
pub use error::Error;
pub use guest_file::GuestFile;
pub use host::Host;
pub use machine::Machine;
pub use process::{Process, Running};
pub use spec::{
    BootSpec, ExecSpec, Exit, HostOptions, LimitsSupport, Mode, Rootfs, Stdin, VolumeMount,
};
