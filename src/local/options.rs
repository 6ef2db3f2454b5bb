//! What an engine is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::sandbox::Rootfs;
use crate::secret::ApiKey;
use crate::wire::quota::QuotaValues;

/// How many threads answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One: for the engine inside a command.
    One,
    /// One a processor: for `local serve`.
    Many,
}

/// What VMs reach of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Nothing.
    None,
    /// Public addresses, through an HTTP proxy that programs find in their environment.
    Proxy {
        /// Hosts and addresses that are reached although they are not public.
        named: Vec<String>,
    },
}

/// What an engine is started with. [`Options::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made when missing.
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The key that callers must present. None takes the one in the data folder, made at first start.
    pub api_key: Option<ApiKey>,
    /// The program that is run again as the init of VMs: this one. It must call [`intercept`](super::intercept) first.
    pub program: PathBuf,
    /// What VMs see as their system.
    pub rootfs: Rootfs,
    /// What VMs reach of the world while this engine runs.
    pub egress: Egress,
    /// What the account may use.
    pub quotas: QuotaValues,
    /// How many threads answer.
    pub workers: Workers,
}

impl Options {
    /// The defaults over a data folder: loopback, a free port, one thread.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            program: PathBuf::from("/proc/self/exe"),
            rootfs: Rootfs::Host,
            egress: Egress::Proxy { named: Vec::new() },
            quotas: default_quotas(),
            workers: Workers::One,
        }
    }
}

/// The limits of an account on this machine.
fn default_quotas() -> QuotaValues {
    QuotaValues {
        vcpu: 64,
        memory_mib: 131_072,
        disk_gib: 1000,
        snapshot_count: 100,
        volume_count: Some(20),
        volume_gib: Some(500),
    }
}
