//! What a VM that is reused has otherwise than a launch asked for.

use crate::output::control::visible;
use fastvm_api::types::firewall::{PolicyAnswer, RuleAnswer};
use fastvm_api::types::vm::{LaunchRequest, Ttl, Vm, VolumeAttachment, VolumeMount};

/// The differences, each in a few words. Labels and variables that nobody asked for do not count, nor do figures that the
/// answer leaves out. Values of variables may be secret and are not shown.
pub(super) fn differences(asked: &LaunchRequest, snapshot: &[String], vm: &Vm) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |difference: Option<String>| found.extend(difference);
    note(
        asked
            .machine_type
            .as_ref()
            .and_then(|kind| machine(kind, vm)),
    );
    note(source(snapshot, vm));
    if let (Some(asked), Some(has)) = (asked.disk_gib, vm.disk_gib) {
        note((asked != has).then(|| format!("disk {has} GiB, not {asked} GiB")));
    }
    for (key, value) in asked.env_vars.iter().flatten() {
        let has = vm.env_vars.as_ref().and_then(|all| all.get(key));
        note((has != Some(value)).then(|| format!("variable {}", visible(key))));
    }
    for (key, value) in asked.metadata.iter().flatten() {
        let has = vm.metadata.as_ref().and_then(|all| all.get(key));
        let (label, wanted) = (visible(key), visible(value));
        note(match has {
            None => Some(format!("no label {label}")),
            Some(has) if has != value => {
                Some(format!("label {label}={}, not {wanted}", visible(has)))
            }
            Some(_) => None,
        });
    }
    if let Some(asked) = &asked.firewall {
        let asked = PolicyAnswer::from(asked.clone());
        let is_same = vm
            .firewall
            .as_ref()
            .is_some_and(|has| policy(has) == policy(&asked));
        note((!is_same).then(|| "firewall".to_owned()));
    }
    if let Some(asked) = asked
        .ttl
        .as_ref()
        .filter(|asked| vm.ttl.as_ref() != Some(*asked))
    {
        let has = vm.ttl.as_ref().map_or("none".to_owned(), timer);
        note(Some(format!("ttl {has}, not {}", timer(asked))));
    }
    for asked in asked.volumes.iter().flatten() {
        let is_mounted = vm.volumes.iter().flatten().any(|has| is_mount(asked, has));
        let (id, path) = (visible(&asked.volume_id), visible(&asked.mount_path));
        note((!is_mounted).then(|| match asked.read_only {
            true => format!("no volume {id} on {path}, read-only"),
            false => format!("no volume {id} on {path}"),
        }));
    }
    found
}

/// A machine type is either the label of the machine, or says its processors and memory.
fn machine(asked: &str, vm: &Vm) -> Option<String> {
    let name = vm.machine_name.as_deref().filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.eq_ignore_ascii_case(asked)) {
        return None;
    }
    let size = vm.cpu.zip(vm.memory_mib);
    if size.is_some() && size == size_of(asked) {
        return None;
    }
    let has = match (name, size) {
        (Some(name), _) => visible(name).into_owned(),
        (None, Some((cpu, mib))) if mib % 1024 == 0 => format!("c{cpu}m{}", mib / 1024),
        (None, Some((cpu, mib))) => format!("{cpu} vCPU and {mib} MiB"),
        (None, None) => return None,
    };
    Some(format!("type {has}, not {}", visible(asked)))
}

/// The processors, and the memory in MiB, of a type such as `c2m4`.
fn size_of(machine_type: &str) -> Option<(i32, i64)> {
    let text = machine_type.to_ascii_lowercase();
    let (cpu, gib) = text.strip_prefix('c')?.split_once('m')?;
    Some((
        cpu.parse().ok()?,
        gib.parse::<i64>().ok()?.checked_mul(1024)?,
    ))
}

/// Returns whether it came from the snapshot, which may go by its id or its name. None is known where none was asked for.
fn source(snapshot: &[String], vm: &Vm) -> Option<String> {
    let asked = snapshot.last()?;
    let has = vm.source_name.as_deref().unwrap_or_default();
    if snapshot.iter().any(|word| word == has) {
        return None;
    }
    let has = if has.is_empty() { "none" } else { has };
    Some(format!("snapshot {}, not {}", visible(has), visible(asked)))
}

/// Protocol, first and last port, and sources.
type RuleEnds = (String, i32, i32, Vec<String>);

/// A policy without its descriptions, as it can be compared.
fn policy(policy: &PolicyAnswer) -> (Option<&str>, Vec<RuleEnds>) {
    let rule = |rule: &RuleAnswer| {
        let start = rule.port_start.unwrap_or_default();
        let mut sources = rule.source_cidrs.clone().unwrap_or_default();
        sources.sort_unstable();
        let protocol = rule.protocol.clone().unwrap_or_default();
        (protocol, start, rule.port_end.unwrap_or(start), sources)
    };
    let mut rules: Vec<_> = policy.ingress.iter().flatten().map(rule).collect();
    rules.sort();
    (policy.mode.as_deref(), rules)
}

fn timer(ttl: &Ttl) -> String {
    format!("{}s:{}", ttl.seconds, visible(&ttl.action))
}

fn is_mount(asked: &VolumeMount, has: &VolumeAttachment) -> bool {
    let path = |path: &str| path.trim_end_matches('/').to_owned();
    has.volume_id.as_deref() == Some(&asked.volume_id)
        && has.mount_path.as_deref().map(path) == Some(path(&asked.mount_path))
        && has.read_only.unwrap_or(false) == asked.read_only
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: &str, snapshot: &[&str], vm: &str) -> Vec<String> {
        let asked = serde_json::from_str(asked).unwrap();
        let snapshot: Vec<_> = snapshot.iter().map(|&word| word.to_owned()).collect();
        differences(&asked, &snapshot, &serde_json::from_str(vm).unwrap())
    }

    #[test]
    fn a_type_is_a_label_or_a_size() {
        for (asked, vm, difference) in [
            ("c2m4", r#"{"machineName":"C2M4"}"#, None),
            (
                "c2m4",
                r#"{"machineName":"two","cpu":2,"memoryMiB":4096}"#,
                None,
            ),
            (
                "c2m4",
                r#"{"cpu":1,"memoryMiB":2048}"#,
                Some("type c1m2, not c2m4"),
            ),
            (
                "c2m4",
                r#"{"machineName":"c1m2"}"#,
                Some("type c1m2, not c2m4"),
            ),
            ("c2m4", "{}", None),
        ] {
            let asked = format!(r#"{{"machineType":"{asked}"}}"#);
            let difference: Vec<_> = difference.into_iter().collect();
            assert_eq!(found(&asked, &[], vm), difference, "{asked} {vm}");
        }
    }

    #[test]
    fn what_was_not_asked_for_is_no_difference() {
        let vm = r#"{"machineName":"c9m9","sourceName":"golden","diskGiB":5,"metadata":{"a":"b"},"envVars":{"A":"1"},
            "ttl":{"action":"pause","seconds":1},"volumes":[{"volumeId":"v","mountPath":"/d"}],"firewall":{"mode":"open"}}"#;
        assert_eq!(found("{}", &[], vm), Vec::<String>::new());
        let asked = r#"{"metadata":{"a":"b"},"envVars":{"A":"1"},"diskGiB":5,"firewall":{"mode":"open"},
            "ttl":{"action":"pause","seconds":1},"volumes":[{"volumeId":"v","mountPath":"/d/"}]}"#;
        assert_eq!(found(asked, &["id", "golden"], vm), Vec::<String>::new());
    }

    #[test]
    fn every_option_of_a_launch_is_compared() {
        let asked = r#"{"metadata":{"a":"b"},"envVars":{"A":"1"},"diskGiB":5,"firewall":{"mode":"restricted","ingress":[
            {"protocol":"tcp","portStart":80}]},"ttl":{"action":"delete","seconds":60},
            "volumes":[{"volumeId":"v","mountPath":"/d","readOnly":true}]}"#;
        let vm = r#"{"diskGiB":10,"volumes":[{"volumeId":"v","mountPath":"/d"}],"metadata":{"a":"c"},
            "firewall":{"mode":"restricted","ingress":[]}}"#;
        assert_eq!(
            found(asked, &["id", "golden"], vm),
            [
                "snapshot none, not golden",
                "disk 10 GiB, not 5 GiB",
                "variable A",
                "label a=c, not b",
                "firewall",
                "ttl none, not 60s:delete",
                "no volume v on /d, read-only",
            ]
        );
    }
}
