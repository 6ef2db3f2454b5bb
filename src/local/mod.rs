//! The local engine: the v1 API on this machine, with isolated Linux environments as VMs.

pub mod sandbox;
