//! How VMs print.

use std::time::Duration;

use jiff::Timestamp;

use crate::commands::firewall::rule;
use crate::output::human::{duration, size};
use crate::output::{Column, Shown, SortKey, Style, Table};
use fastvm_api::types::vm::{Vm, VolumeAttachment};

pub(crate) static VMS: Table<Vm> = Table {
    noun: "VM",
    plural: "VMs",
    columns: &[
        Column::<Vm>::new("name", |vm| vm.name.clone().unwrap_or_default()),
        Column::<Vm>::new("id", |vm| vm.id.clone()),
        Column::<Vm>::new("status", |vm| vm.status.clone().unwrap_or_default())
            .tone(|vm| Style::of_status(vm.status.as_deref().unwrap_or_default())),
        Column::<Vm>::new("type", |vm| vm.machine_name.clone().unwrap_or_default()),
        Column::<Vm>::new("cpu", |vm| number(vm.cpu.map(i64::from)))
            .sort(|vm| SortKey::number(vm.cpu.map(i64::from)))
            .shown(Shown::Wide),
        Column::<Vm>::new("memory", |vm| number(vm.memory_mib))
            .text(|vm, _| bytes(vm.memory_mib, 20))
            .sort(|vm| SortKey::number(vm.memory_mib)),
        Column::<Vm>::new("disk", |vm| number(vm.disk_gib))
            .text(|vm, _| bytes(vm.disk_gib, 30))
            .sort(|vm| SortKey::number(vm.disk_gib))
            .shown(Shown::Wide),
        Column::<Vm>::new("age", |vm| created(vm).to_owned())
            .text(|vm, now| now.age(created(vm)))
            .csv(|vm, now| now.seconds(created(vm)))
            .sort(|vm| SortKey::age(created(vm))),
        Column::<Vm>::new("created", |vm| created(vm).to_owned())
            .sort(|vm| SortKey::time(created(vm)))
            .shown(Shown::Wide),
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
        Column::<Vm>::new("firewall", firewall).shown(Shown::Wide),
        Column::<Vm>::new("org", |vm| vm.org_id.clone().unwrap_or_default())
            .shown(Shown::OnRequest),
    ],
    name: |vm| vm.name.as_deref().unwrap_or_default(),
    id: |vm| &vm.id,
    empty_hint: Some("fastvm vm launch --name dev"),
};

fn created(vm: &Vm) -> &str {
    vm.created_at.as_deref().unwrap_or_default()
}

fn number(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// A count of units of 2 to the power of `shift` bytes.
fn bytes(count: Option<i64>, shift: u32) -> String {
    let unit = 1_u64 << shift;
    let bytes = count.map(|count| u64::try_from(count).unwrap_or(0).saturating_mul(unit));
    bytes.map(size).unwrap_or_default()
}

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

/// As `--volume` takes them, with what is wrong with each.
fn volumes(vm: &Vm) -> String {
    let attachments = vm.volumes.iter().flatten();
    attachments.map(volume).collect::<Vec<_>>().join(" ")
}

fn volume(attachment: &VolumeAttachment) -> String {
    let mode = match attachment.read_only {
        Some(true) => ":ro",
        _ => "",
    };
    let notes: Vec<&str> = [
        attachment.mount_status.as_deref(),
        attachment
            .rotation_required
            .unwrap_or(false)
            .then_some("rotationRequired"),
        attachment.status_message.as_deref(),
    ]
    .into_iter()
    .flatten()
    .filter(|note| !note.is_empty())
    .collect();
    let notes = match notes.is_empty() {
        true => String::new(),
        false => format!(" ({})", notes.join(", ")),
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
    let (volume, path) = (text(&attachment.volume_id), text(&attachment.mount_path));
    format!("{volume}:{path}{mode}{notes}")
}

fn firewall(vm: &Vm) -> String {
    let Some(policy) = vm.effective_firewall.as_ref().or(vm.firewall.as_ref()) else {
        return String::new();
    };
    let rules = policy.ingress.iter().flatten().map(rule::text);
    let mode = policy.mode.iter().cloned();
    mode.chain(rules).collect::<Vec<_>>().join(" ")
}
