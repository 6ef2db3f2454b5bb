//! Files and folders of this machine: what there is to send, packing and unpacking, putting in place.

pub(in crate::transfer) mod destination;
pub mod filter;
pub(in crate::transfer) mod folder;
#[cfg(test)]
mod hostile;
pub(in crate::transfer) mod install;
pub(in crate::transfer) mod listing;
pub(in crate::transfer) mod pack;
pub(in crate::transfer) mod range_checksums;
pub(in crate::transfer) mod selection;
pub(in crate::transfer) mod stale_folders;
pub(in crate::transfer) mod tree;
pub(in crate::transfer) mod unpack;
