//! How VMs print.

use std::time::Duration;

use jiff::Timestamp;

use crate::commands::firewall::rule;
use crate::output::human::{duration, size};
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
        Column::<Vm>::new("env-values", environment_values).shown(Shown::Named),
        Column::<Vm>::new("ttl", ttl)
            .text(|vm, now| ttl_in_words(vm, now.0))
            .shown(Shown::OnRequest),
        Column::<Vm>::new("volumes", volumes).shown(Shown::OnRequest),
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

fn environment_values(vm: &Vm) -> String {
    let variables = vm.env_vars.iter().flatten();
    variables
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// As `--ttl` takes it.
fn ttl(vm: &Vm) -> String {
    vm.ttl.as_ref().map_or_else(String::new, |ttl| {
        format!("{}s:{}", ttl.seconds, ttl.action)
    })
}

fn ttl_in_words(vm: &Vm, now: Timestamp) -> String {
    let Some(ttl) = &vm.ttl else {
        return String::new();
    };
    let action = &ttl.action;
    let cycle = duration(Duration::from_secs(u64::try_from(ttl.seconds).unwrap_or(0)));
    let left = vm
        .ttl_remaining_ms
        .or_else(|| vm.expires_at_ms.map(|end| end - now.as_millisecond()));
    let left = left.map(|left| duration(Duration::from_millis(u64::try_from(left).unwrap_or(0))));
    match (left, vm.ttl_remaining_ms) {
        (Some(left), Some(_)) => format!("{action}, {left} of {cycle} left when it runs again"),
        (Some(left), None) => format!("{action} in {left} of {cycle}"),
        (None, _) => format!("{action} after {cycle}"),
    }
}

/// As `--volume` takes them.
fn volumes(vm: &Vm) -> String {
    let attachments = vm.volumes.iter().flatten();
    attachments
        .map(|attachment| {
            let mode = if attachment.read_only { ":ro" } else { "" };
            format!("{}:{}{mode}", attachment.volume_id, attachment.mount_path)
        })
        .collect::<Vec<_>>()
        .join(" ")
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
