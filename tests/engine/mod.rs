//! The local engine, driven over HTTP as any client would, with the real binary as the init of its VMs.

mod builds;
mod clock;
mod connections;
mod contract;
mod cut_off;
mod durability;
mod egress;
mod exec;
mod files;
mod firewall;
mod front;
mod full_disk;
mod leftovers;
mod memory;
mod network;
mod ownership;
mod pause;
mod recovery;
mod repair;
pub(crate) mod rig;
mod snapshots;
mod speed;
mod ttl;
mod vms;
mod volumes;
