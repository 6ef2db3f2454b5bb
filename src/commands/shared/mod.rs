//! What several commands do alike: find a thing by its name, launch and wait, act on several things.

pub(crate) mod batch;
pub(crate) mod create_request;
pub(crate) mod delete_many;
pub(crate) mod file_change;
pub(crate) mod gib;
pub(crate) mod glob;
pub(crate) mod key_values;
pub(crate) mod launch_vms;
pub(crate) mod mount;
pub(crate) mod new_name;
pub(crate) mod quota_hint;
pub(crate) mod resolve_name;
pub(crate) mod secret_input;
pub(crate) mod temporary_snapshot;
pub(crate) mod ttl;
pub(crate) mod vm_filter;
pub(crate) mod wait;
