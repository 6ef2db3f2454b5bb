//! How VMs print.

use crate::commands::firewall::rule;
use crate::output::human::size;
use crate::output::{Column, Shown, SortKey, Table, Tone};
use crate::wire::vm::Vm;

pub(crate) static VMS: Table<Vm> = Table {
    noun: "VM",
    plural: "VMs",
    columns: &[
        Column::<Vm>::new("name", |vm| vm.name.clone()),
        Column::<Vm>::new("id", |vm| vm.id.clone()),
        Column::<Vm>::new("status", |vm| vm.status.clone()).tone(|vm| Tone::of_status(&vm.status)),
        Column::<Vm>::new("type", |vm| vm.machine_name.clone().unwrap_or_default()),
        Column::<Vm>::new("cpu", |vm| vm.cpu.to_string())
            .sort(|vm| SortKey::Number(vm.cpu.into()))
            .shown(Shown::Wide),
        Column::<Vm>::new("memory", |vm| vm.memory_mib.to_string())
            .text(|vm, _| size(u64::try_from(vm.memory_mib).unwrap_or(0) << 20))
            .sort(|vm| SortKey::Number(vm.memory_mib.into())),
        Column::<Vm>::new("disk", |vm| vm.disk_gib.to_string())
            .text(|vm, _| size(u64::try_from(vm.disk_gib).unwrap_or(0) << 30))
            .sort(|vm| SortKey::Number(vm.disk_gib.into()))
            .shown(Shown::Wide),
        Column::<Vm>::new("age", |vm| vm.created_at.clone())
            .text(|vm, now| now.age(&vm.created_at))
            .sort(|vm| SortKey::time(&vm.created_at)),
        Column::<Vm>::new("source", |vm| vm.source_name.clone().unwrap_or_default())
            .shown(Shown::Wide),
        Column::<Vm>::new("ipv6", |vm| vm.public_ipv6.clone().unwrap_or_default())
            .shown(Shown::Wide),
        Column::<Vm>::new("metadata", metadata).shown(Shown::Wide),
        Column::<Vm>::new("env", environment).shown(Shown::OnRequest),
        Column::<Vm>::new("firewall", firewall).shown(Shown::OnRequest),
        Column::<Vm>::new("org", |vm| vm.org_id.clone()).shown(Shown::OnRequest),
    ],
    name: |vm| &vm.name,
    id: |vm| &vm.id,
    empty_hint: Some("fastvm vm launch --name dev"),
};

fn metadata(vm: &Vm) -> String {
    let labels = vm.metadata.iter().flatten();
    labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Names alone: values may be secrets.
fn environment(vm: &Vm) -> String {
    vm.env_vars
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(",")
}

fn firewall(vm: &Vm) -> String {
    let Some(policy) = vm.effective_firewall.as_ref().or(vm.firewall.as_ref()) else {
        return String::new();
    };
    let rules = policy.ingress.iter().map(rule::text);
    std::iter::once(policy.mode.clone())
        .chain(rules)
        .collect::<Vec<_>>()
        .join(" ")
}
