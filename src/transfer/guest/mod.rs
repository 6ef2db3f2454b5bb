//! The VM: what a caller provides to reach it and the storage, and the scripts that run in it.

pub mod endpoint;
pub(in crate::transfer) mod guest_path;
pub mod remote;
pub(in crate::transfer) mod retry;
pub(in crate::transfer) mod script;
pub(in crate::transfer) mod stderr;
