//! What a copy has made in the VM, at the storage and here, so that it can be removed, or taken up again.

pub mod cleanup;
pub mod journal;
pub(crate) mod staged_objects;
