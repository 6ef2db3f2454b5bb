//! Whether quotas leave room for a VM.

use super::check::{Check, State};
use fastvm_api::types::quota::QuotaUsage;

/// What the VM takes that `run` and `vm launch` make: vCPUs, and MiB of memory.
const DEFAULT_VM: (i64, i64) = (1, 2048);

/// Looks whether one fits.
pub(super) fn room(area: &'static str, quota: &QuotaUsage) -> Check {
    let left = |limit: Option<i64>, used: Option<i64>| {
        Some(limit?.saturating_sub(used.unwrap_or(0)).max(0))
    };
    let (Some(vcpu), Some(memory)) = (
        left(quota.limits.vcpu, quota.usage.vcpu),
        left(quota.limits.memory_mib, quota.usage.memory_mib),
    ) else {
        let detail = "the API does not tell its limits".to_owned();
        return Check::new(area, "quota", State::Ok, detail);
    };
    let detail = format!("{vcpu} vCPU and {memory} MiB of memory are left");
    if vcpu >= DEFAULT_VM.0 && memory >= DEFAULT_VM.1 {
        return Check::new(area, "quota", State::Ok, detail);
    }
    let there = if area == "engine" { " --local" } else { "" };
    Check::new(area, "quota", State::Failed, detail).fix(format!(
        "see what runs with fastvm{there} ls, then: fastvm{there} rm VM"
    ))
}
