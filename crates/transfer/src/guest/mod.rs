//! The VM: what a caller provides to reach it and the storage, and the scripts that run in it.

pub mod endpoint;
pub(crate) mod guest_path;
pub mod remote;
pub(crate) mod retry;
pub(crate) mod script;
pub(crate) mod stderr;
pub mod vm;
