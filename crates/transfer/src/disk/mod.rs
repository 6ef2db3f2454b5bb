//! Files and folders of this machine: what there is to send, packing and unpacking, putting in place.

pub(crate) mod destination;
pub mod filter;
pub(crate) mod folder;
#[cfg(test)]
#[cfg(unix)]
mod hostile;
pub(crate) mod install;
pub(crate) mod listing;
pub mod local_modes;
pub(crate) mod local_names;
pub(crate) mod pack;
pub(crate) mod range_checksums;
pub(crate) mod scope;
pub(crate) mod selection;
pub(crate) mod stale_folders;
pub(crate) mod tree;
pub(crate) mod unpack;
