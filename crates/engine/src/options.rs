//! What an engine is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use fastvm_api::secret::ApiKey;
use fastvm_api::types::quota::QuotaValues;
use fastvm_sandbox::Rootfs;

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
            quotas: DEFAULT_QUOTAS,
            workers: Workers::One,
        }
    }
}

/// The limits of an account on this machine.
const DEFAULT_QUOTAS: QuotaValues = QuotaValues {
    vcpu: 64,
    memory_mib: 131_072,
    disk_gib: 1000,
    snapshot_count: 100,
    volume_count: Some(20),
    volume_gib: Some(500),
};

/// The default limits with those of `text` in their place: `NAME=NUMBER`, separated by commas, by the contract's names.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn quotas(text: &str) -> Result<QuotaValues, String> {
    let mut quotas = DEFAULT_QUOTAS;
    for part in text.split(',').map(str::trim) {
        let (name, number) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is not NAME=NUMBER"))?;
        let limit = number
            .trim()
            .parse()
            .ok()
            .filter(|limit| *limit >= 0)
            .ok_or_else(|| format!("{number:?} is not a whole number from 0 for {name}"))?;
        match name.trim() {
            "vcpu" => quotas.vcpu = limit,
            "memoryMiB" => quotas.memory_mib = limit,
            "diskGiB" => quotas.disk_gib = limit,
            "snapshotCount" => quotas.snapshot_count = limit,
            "volumeCount" => quotas.volume_count = Some(limit),
            "volumeGiB" => quotas.volume_gib = Some(limit),
            other => {
                return Err(format!(
                    "there is no quota {other:?}; there are vcpu, memoryMiB, diskGiB, snapshotCount, volumeCount, volumeGiB"
                ));
            }
        }
    }
    Ok(quotas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_that_are_named_replace_the_defaults() {
        let quotas = quotas("vcpu=400, volumeGiB=0").unwrap();
        assert_eq!((quotas.vcpu, quotas.volume_gib), (400, Some(0)));
        assert_eq!(quotas.memory_mib, DEFAULT_QUOTAS.memory_mib);
    }

    #[test]
    fn a_quota_that_is_none_is_told() {
        for (text, why) in [
            ("vcpu", "\"vcpu\" is not NAME=NUMBER"),
            ("vcpu=-1", "\"-1\" is not a whole number from 0 for vcpu"),
            (
                "vcpu=many",
                "\"many\" is not a whole number from 0 for vcpu",
            ),
        ] {
            assert_eq!(quotas(text).unwrap_err(), why);
        }
        assert!(
            quotas("cpus=4")
                .unwrap_err()
                .starts_with("there is no quota \"cpus\"")
        );
    }
}
