//! How snapshots print.

use crate::output::{Column, Shown, SortKey, Style, Table};
use fastvm_api::types::snapshot::Snapshot;

pub(crate) static SNAPSHOTS: Table<Snapshot> = Table {
    noun: "snapshot",
    plural: "snapshots",
    columns: &[
        Column::<Snapshot>::new("name", |snapshot| snapshot.name.clone().unwrap_or_default()),
        Column::<Snapshot>::new("id", |snapshot| snapshot.id.clone()),
        Column::<Snapshot>::new("status", |snapshot| {
            snapshot.status.clone().unwrap_or_default()
        })
        .tone(|snapshot| Style::of_status(snapshot.status.as_deref().unwrap_or_default())),
        Column::<Snapshot>::new("vm", |snapshot| snapshot.vm_id.clone().unwrap_or_default()),
        Column::<Snapshot>::new("age", |snapshot| created(snapshot).to_owned())
            .text(|snapshot, now| now.age(created(snapshot)))
            .csv(|snapshot, now| now.seconds(created(snapshot)))
            .sort(|snapshot| SortKey::age(created(snapshot))),
        Column::<Snapshot>::new("created", |snapshot| created(snapshot).to_owned())
            .sort(|snapshot| SortKey::time(created(snapshot)))
            .shown(Shown::Wide),
        Column::<Snapshot>::new("metadata", metadata).shown(Shown::Wide),
        Column::<Snapshot>::new("org", |snapshot| {
            snapshot.org_id.clone().unwrap_or_default()
        })
        .shown(Shown::OnRequest),
    ],
    name: |snapshot| snapshot.name.as_deref().unwrap_or_default(),
    id: |snapshot| &snapshot.id,
    empty_hint: Some("fastvm snapshot create VM --name golden"),
};

fn created(snapshot: &Snapshot) -> &str {
    snapshot.created_at.as_deref().unwrap_or_default()
}

fn metadata(snapshot: &Snapshot) -> String {
    let labels = snapshot.metadata.iter().flatten();
    labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}
