//! How snapshots print.

use crate::output::{Column, Shown, SortKey, Table, Tone};
use crate::wire::snapshot::Snapshot;

pub(crate) static SNAPSHOTS: Table<Snapshot> = Table {
    noun: "snapshot",
    plural: "snapshots",
    columns: &[
        Column::<Snapshot>::new("name", |snapshot| snapshot.name.clone()),
        Column::<Snapshot>::new("id", |snapshot| snapshot.id.clone()),
        Column::<Snapshot>::new("status", |snapshot| snapshot.status.clone())
            .tone(|snapshot| Tone::of_status(&snapshot.status)),
        Column::<Snapshot>::new("vm", |snapshot| snapshot.vm_id.clone()),
        Column::<Snapshot>::new("age", |snapshot| snapshot.created_at.clone())
            .text(|snapshot, now| now.age(&snapshot.created_at))
            .sort(|snapshot| SortKey::time(&snapshot.created_at)),
        Column::<Snapshot>::new("metadata", metadata).shown(Shown::Wide),
        Column::<Snapshot>::new("org", |snapshot| snapshot.org_id.clone()).shown(Shown::OnRequest),
    ],
    name: |snapshot| &snapshot.name,
    id: |snapshot| &snapshot.id,
    empty_hint: Some("fastvm snapshot create VM --name golden"),
};

fn metadata(snapshot: &Snapshot) -> String {
    let labels = snapshot.metadata.iter().flatten();
    labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(",")
}
