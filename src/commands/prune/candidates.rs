//! Which things are not in use.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::candidate::{Candidate, Target};
use super::leftovers;
use crate::commands::shared::batch::AT_ONCE;
use crate::commands::shared::glob;
use crate::commands::shared::launch_vms;
use crate::commands::shared::temporary_snapshot;
use crate::config::Paths;
use crate::error::Error;
use crate::output::human;
use fastvm_api::Client;
use fastvm_api::types::snapshot::{self, Snapshot};
use fastvm_api::types::vm::{Vm, status};
use fastvm_api::types::volume::Volume;
use fastvm_api::vms::VmFilter;

/// Volumes that are on their way in or out.
const UNSETTLED: [&str; 2] = ["provisioning", "deleting"];

/// No fork takes longer with the limits that it has by default; its snapshot stays so long.
const FORK_LIFE: Duration = Duration::from_secs(15 * 60);

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) vms: bool,
    pub(super) snapshots: bool,
    pub(super) volumes: bool,
    pub(super) leftovers: bool,
    pub(super) older_than: Option<Duration>,
    /// Patterns of names that stay.
    pub(super) keep: &'a [String],
    pub(super) now: Timestamp,
}

impl Rules<'_> {
    /// Returns whether anything but files of this machine is looked for.
    pub(super) fn needs_the_api(&self) -> bool {
        self.vms || self.snapshots || self.volumes
    }

    fn keeps(&self, name: &str) -> bool {
        self.keep.iter().any(|pattern| glob::matches(pattern, name))
    }

    /// Returns whether something is as old as was asked for. What has no readable time, or one to come, is young.
    pub(super) fn is_old_enough(&self, created: &str) -> bool {
        self.older_than
            .is_none_or(|limit| self.is_older(created, limit))
    }

    pub(super) fn is_older(&self, created: &str, limit: Duration) -> bool {
        let created = created.parse::<Timestamp>();
        created.is_ok_and(|created| {
            Duration::try_from(self.now.duration_since(created)).is_ok_and(|age| age >= limit)
        })
    }
}

/// Everything that the rules choose: VMs, snapshots, volumes, leftovers.
pub(super) async fn choose(
    client: Option<&Client>,
    paths: &Paths,
    rules: &Rules<'_>,
) -> Result<Vec<Candidate>, Error> {
    let mut chosen = Vec::new();
    if let Some(client) = client {
        // Listed before the VMs: one that is launched in between is seen to use its snapshot or volume.
        let snapshots = match rules.snapshots {
            true => client.list_snapshots().await?,
            false => Vec::new(),
        };
        let volumes = match rules.volumes {
            true => client.list_volumes().await?,
            false => Vec::new(),
        };
        let vms = client.list_vms(&VmFilter::default()).await?;
        let vms: Vec<Vm> = vms.into_iter().map(|vm| vm.value).collect();
        if let (true, Some(limit)) = (rules.vms, rules.older_than) {
            chosen.extend(vms.iter().filter_map(|vm| old_vm(vm, limit, rules)));
        }
        let unused = snapshots.iter();
        chosen.extend(unused.filter_map(|snapshot| unused_snapshot(&snapshot.value, &vms, rules)));
        let volumes: Vec<_> = volumes.into_iter().map(|volume| volume.value).collect();
        chosen.extend(unused_volumes(client, &volumes, &vms, rules).await?);
    }
    if rules.leftovers {
        chosen.extend(leftovers::find(paths, rules));
    }
    chosen.retain(|candidate| !rules.keeps(&candidate.name));
    Ok(chosen)
}

fn old_vm(vm: &Vm, limit: Duration, rules: &Rules<'_>) -> Option<Candidate> {
    let created = vm.created_at.as_deref().unwrap_or_default();
    let is_chosen = !vm.has_status(status::DELETING) && rules.is_older(created, limit);
    is_chosen.then(|| Candidate {
        kind: "VM",
        id: vm.id.clone(),
        name: vm.name.clone().unwrap_or_default(),
        created_at: created.to_owned(),
        reason: format!(
            "{}, older than {}",
            launch_vms::state(vm),
            human::duration(limit)
        ),
        deleted: false,
        target: Target::Vm,
    })
}

fn unused_snapshot(found: &Snapshot, vms: &[Vm], rules: &Rules<'_>) -> Option<Candidate> {
    // What the server does not say might be in use.
    let (Some(origin), Some(status)) = (&found.vm_id, &found.status) else {
        return None;
    };
    let (name, created) = (
        found.name.as_deref().unwrap_or_default(),
        found.created_at.as_deref().unwrap_or_default(),
    );
    let is_used = |vm: &Vm| {
        let source = vm.source_name.as_deref().unwrap_or_default();
        vm.id == *origin || source == found.id || (source == name && !source.is_empty())
    };
    let is_left = temporary_snapshot::is_name_of_one(name) && rules.is_older(created, FORK_LIFE);
    let is_chosen = status != snapshot::CREATING
        && (is_left || !vms.iter().any(is_used))
        && rules.is_old_enough(created);
    is_chosen.then(|| Candidate {
        kind: "snapshot",
        id: found.id.clone(),
        name: name.to_owned(),
        created_at: created.to_owned(),
        reason: match is_left {
            true => "a fork or `run --from` that was killed left it".to_owned(),
            false => "no VM uses it".to_owned(),
        },
        deleted: false,
        target: Target::Snapshot,
    })
}

async fn unused_volumes(
    client: &Client,
    volumes: &[Volume],
    vms: &[Vm],
    rules: &Rules<'_>,
) -> Result<Vec<Candidate>, Error> {
    let is_mounted = |volume: &Volume| {
        let mut attachments = vms.iter().filter_map(|vm| vm.volumes.as_ref()).flatten();
        attachments.any(|attachment| attachment.volume_id.as_ref() == Some(&volume.id))
    };
    let maybe = volumes.iter().filter(|volume| {
        let status = volume.status.as_deref();
        status.is_some_and(|status| !UNSETTLED.contains(&status))
            && !is_mounted(volume)
            && rules.is_old_enough(volume.created_at.as_deref().unwrap_or_default())
    });
    let attached: Vec<_> = stream::iter(maybe)
        .map(|volume| async move { (volume, is_attached(client, volume).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut unused = Vec::new();
    for (volume, is_attached) in attached {
        if !is_attached? {
            unused.push(Candidate {
                kind: "volume",
                id: volume.id.clone(),
                name: volume.name.clone().unwrap_or_default(),
                created_at: volume.created_at.clone().unwrap_or_default(),
                reason: "no VM has mounted it".to_owned(),
                deleted: false,
                target: Target::Volume,
            });
        }
    }
    Ok(unused)
}

/// What the server counts; where it counts nothing, its list.
async fn is_attached(client: &Client, volume: &Volume) -> Result<bool, Error> {
    match volume.attachment_count {
        Some(count) => Ok(count > 0),
        None => Ok(!client.volume_attachments(&volume.id).await?.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules<'static> {
        Rules {
            vms: true,
            snapshots: true,
            volumes: true,
            leftovers: true,
            older_than: Some(Duration::from_secs(3600)),
            keep: &[],
            now: "2026-01-02T05:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_has_no_time_or_one_to_come_is_young() {
        for (created, is_old) in [
            ("2026-01-02T04:00:00Z", true),
            ("2026-01-02T04:00:00.000001Z", false),
            ("2026-01-03T04:00:00Z", false),
            ("yesterday", false),
            ("", false),
        ] {
            assert_eq!(rules().is_old_enough(created), is_old, "{created}");
        }
    }

    #[test]
    fn a_snapshot_is_used_by_its_vm_and_by_those_launched_from_it() {
        let snapshot: Snapshot = serde_json::from_str(
            r#"{"id":"s","name":"golden","orgId":"o","vmId":"v","status":"ready","createdAt":"2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        let vm = |id: &str, source: &str| -> Vm {
            let text = format!(
                r#"{{"id":"{id}","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"paused","createdAt":"","sourceName":"{source}"}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let is_unused = |vms: &[Vm]| unused_snapshot(&snapshot, vms, &rules()).is_some();
        assert!(is_unused(&[]) && is_unused(&[vm("w", ""), vm("x", "other")]));
        assert!(!is_unused(&[vm("v", "")]));
        assert!(!is_unused(&[vm("w", "golden")]) && !is_unused(&[vm("w", "s")]));
    }

    #[test]
    fn a_snapshot_that_a_killed_fork_left_goes_though_it_is_in_use() {
        const LEFT: &str = "fork-3f2b8c1e-5d4a-4e6f-9a7b-0c1d2e3f4a5b";
        let reason = |name: &str, created: &str, rules: &Rules<'_>| {
            let text = format!(
                r#"{{"id":"s","name":"{name}","vmId":"v","status":"ready","createdAt":"{created}"}}"#
            );
            let vms: [Vm; 1] = [serde_json::from_str(r#"{"id":"v","status":"running"}"#).unwrap()];
            let found = unused_snapshot(&serde_json::from_str(&text).unwrap(), &vms, rules);
            found.map(|candidate| candidate.reason)
        };
        let any_age = Rules {
            older_than: None,
            ..rules()
        };
        let told = reason(LEFT, "2026-01-02T04:45:00Z", &any_age).unwrap();
        assert!(told.contains("killed"), "{told}");
        for (name, created) in [
            (LEFT, "2026-01-02T04:45:01Z"),
            (LEFT, "soon"),
            ("fork-mine", "2026-01-01T04:00:00Z"),
            (&LEFT.replace("fork", "kept-fork"), "2026-01-01T04:00:00Z"),
        ] {
            assert_eq!(reason(name, created, &any_age), None, "{name} {created}");
        }
        assert_eq!(reason(LEFT, "2026-01-02T04:30:00Z", &rules()), None);
    }
}
