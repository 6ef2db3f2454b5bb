//! A launch that a quota forbids: which one, and how much of it is left.

use crate::error::{Error, Kind};
use fastvm_api::Client;
use fastvm_api::types::quota::QuotaUsage;
use fastvm_api::types::vm::LaunchRequest;

/// Adds to a refusal what the quotas say. Any other failure stays as it is, and so does one whose quotas cannot be read.
pub(crate) async fn explain(client: &Client, request: &LaunchRequest, error: Error) -> Error {
    if error.kind() != Kind::Quota {
        return error;
    }
    match client.quotas().await {
        Ok(quotas) => match left(&quotas.value, request) {
            unknown if unknown.is_empty() => error,
            left => error.hint(format!("{left}; see all with `fastvm quota`")),
        },
        Err(_) => error,
    }
}

/// What is left of the resources that do not suffice; of all, where it cannot be told which do not.
fn left(quotas: &QuotaUsage, request: &LaunchRequest) -> String {
    let machine = request.machine_type.as_deref().and_then(size_of);
    let (usage, limits) = (&quotas.usage, &quotas.limits);
    let resources = [
        ("vCPU", usage.vcpu, limits.vcpu, machine.map(|(cpu, _)| cpu)),
        (
            "MiB of memory",
            usage.memory_mib,
            limits.memory_mib,
            machine.map(|(_, memory)| memory),
        ),
        (
            "GiB of disk",
            usage.disk_gib,
            limits.disk_gib,
            request.disk_gib,
        ),
    ];
    let resources: Vec<_> = resources
        .into_iter()
        .filter_map(|(name, used, limit, need)| Some((name, used?, limit?, need)))
        .collect();
    let is_short =
        |used: i64, limit: i64, need: Option<i64>| limit.saturating_sub(used) < need.unwrap_or(1);
    let any = resources
        .iter()
        .any(|&(_, used, limit, need)| is_short(used, limit, need));
    let told = resources
        .into_iter()
        .filter(|&(_, used, limit, need)| !any || is_short(used, limit, need));
    let parts: Vec<String> = told
        .map(|(name, used, limit, need)| {
            let needed = need
                .map(|need| format!(", {need} needed"))
                .unwrap_or_default();
            format!(
                "{} of {limit} {name} left{needed}",
                limit.saturating_sub(used).max(0)
            )
        })
        .collect();
    parts.join("; ")
}

/// vCPUs and MiB of a machine type such as `c2m4`.
fn size_of(machine_type: &str) -> Option<(i64, i64)> {
    let (cpu, memory) = machine_type.strip_prefix('c')?.split_once('m')?;
    let gib: i64 = memory.parse().ok()?;
    Some((cpu.parse().ok()?, gib.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastvm_api::types::quota::QuotaAnswer;

    fn told(used: i64, machine_type: &str) -> String {
        let values = |vcpu, memory_mib| QuotaAnswer {
            vcpu: Some(vcpu),
            memory_mib: Some(memory_mib),
            disk_gib: Some(memory_mib),
            ..QuotaAnswer::default()
        };
        let quotas = QuotaUsage {
            org_id: None,
            usage: values(used, 1024),
            limits: values(4, 8192),
        };
        let request = LaunchRequest {
            machine_type: Some(machine_type.to_owned()),
            ..LaunchRequest::default()
        };
        left(&quotas, &request)
    }

    #[test]
    fn what_does_not_suffice_is_named_with_what_is_left_and_needed() {
        assert_eq!(told(3, "c2m4"), "1 of 4 vCPU left, 2 needed");
        assert_eq!(
            told(3, "c2m8"),
            "1 of 4 vCPU left, 2 needed; 7168 of 8192 MiB of memory left, 8192 needed"
        );
        assert_eq!(told(4, "special"), "0 of 4 vCPU left");
        assert_eq!(
            told(0, "c1m2"),
            "4 of 4 vCPU left, 1 needed; 7168 of 8192 MiB of memory left, 2048 needed; 7168 of 8192 GiB of disk left"
        );
    }
}
