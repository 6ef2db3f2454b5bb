//! A launch that a quota forbids: which one, and how much of it is left.

use super::resolve_name::Named;
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
        Ok(quotas) => match resources(&quotas.value, &Need::of(request)) {
            unknown if unknown.is_empty() => error,
            resources => error.hint(hint(&resources)),
        },
        Err(_) => error,
    }
}

/// Refuses copies of a VM that the quotas leave no room for. Where the quotas or the size of the VM are not known, the API decides.
pub(crate) async fn check_copies(
    client: &Client,
    vm: &Named,
    requests: &[LaunchRequest],
) -> Result<(), Error> {
    let (Ok(quotas), Ok(source)) = tokio::join!(client.quotas(), client.get_vm(&vm.id)) else {
        return Ok(());
    };
    let source = source.value;
    let count = i64::try_from(requests.len()).unwrap_or(i64::MAX);
    let of_all = |each: Option<i64>| Some(each?.saturating_mul(count));
    let disk = requests.iter().find_map(|request| request.disk_gib);
    let need = Need {
        vcpu: of_all(source.cpu.map(i64::from)),
        memory_mib: of_all(source.memory_mib),
        disk_gib: of_all(disk.or(source.disk_gib)),
    };
    let resources = resources(&quotas.value, &need);
    if !resources
        .iter()
        .any(|one| one.need.is_some() && one.is_short())
    {
        return Ok(());
    }
    let what = match requests.len() {
        1 => "a copy of it does not fit".to_owned(),
        many => format!("{many} copies of it do not fit"),
    };
    let message = format!("VM {}: over quota: {what}", vm.label());
    let error = vm.about(Error::new(Kind::Quota, message));
    Err(error.hint(hint(&resources)))
}

/// What is wanted of each resource, where that is known.
struct Need {
    vcpu: Option<i64>,
    memory_mib: Option<i64>,
    disk_gib: Option<i64>,
}

/// A resource that the server counts, and what is wanted of it.
struct Resource {
    name: &'static str,
    used: i64,
    limit: i64,
    need: Option<i64>,
}

impl Resource {
    fn left(&self) -> i64 {
        self.limit.saturating_sub(self.used)
    }

    fn is_short(&self) -> bool {
        self.left() < self.need.unwrap_or(1)
    }
}

impl Need {
    fn of(request: &LaunchRequest) -> Self {
        let machine = request.machine_type.as_deref().and_then(size_of);
        Self {
            vcpu: machine.map(|(cpu, _)| cpu),
            memory_mib: machine.map(|(_, memory)| memory),
            disk_gib: request.disk_gib,
        }
    }
}

fn resources(quotas: &QuotaUsage, need: &Need) -> Vec<Resource> {
    let (usage, limits) = (&quotas.usage, &quotas.limits);
    let all = [
        ("vCPU", usage.vcpu, limits.vcpu, need.vcpu),
        (
            "MiB of memory",
            usage.memory_mib,
            limits.memory_mib,
            need.memory_mib,
        ),
        (
            "GiB of disk",
            usage.disk_gib,
            limits.disk_gib,
            need.disk_gib,
        ),
    ];
    let counted = all.into_iter().filter_map(|(name, used, limit, need)| {
        Some(Resource {
            name,
            used: used?,
            limit: limit?,
            need,
        })
    });
    counted.collect()
}

/// What is left of the resources that do not suffice; of all, where it cannot be told which do not.
fn hint(resources: &[Resource]) -> String {
    let any = resources.iter().any(Resource::is_short);
    let told = resources.iter().filter(|one| !any || one.is_short());
    let parts: Vec<String> = told
        .map(|one| {
            let needed = one
                .need
                .map(|need| format!(", {need} needed"))
                .unwrap_or_default();
            let (left, limit, name) = (one.left().max(0), one.limit, one.name);
            format!("{left} of {limit} {name} left{needed}")
        })
        .collect();
    format!("{}; see all with `fastvm quota`", parts.join("; "))
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
        let hint = hint(&resources(&quotas, &Need::of(&request)));
        hint.strip_suffix("; see all with `fastvm quota`")
            .unwrap()
            .to_owned()
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
