//! How snapshots print.

use crate::output::{Column, Shown, SortKey, Table, Tone};
use crate::wire::snapshot::{self, Snapshot};

pub(crate) static SNAPSHOTS: Table<Snapshot> = Table {
    noun: "snapshot",
    plural: "snapshots",
    columns: &[
        Column::new("name", |snapshot| snapshot.name.clone()),
        Column::new("id", |snapshot| snapshot.id.clone()),
        Column::new("status", |snapshot| snapshot.status.clone()).tone(tone),
        Column::new("vm", |snapshot| snapshot.vm_id.clone()),
        Column::new("age", |snapshot| snapshot.created_at.clone())
            .text(|snapshot, now| now.age(&snapshot.created_at))
            .sort(|snapshot| SortKey::time(&snapshot.created_at)),
        Column::new("metadata", metadata).shown(Shown::Wide),
        Column::new("org", |snapshot| snapshot.org_id.clone()).shown(Shown::OnRequest),
    ],
    name: |snapshot| &snapshot.name,
    id: |snapshot| &snapshot.id,
    empty_hint: Some("fastvm snapshot create VM --name golden"),
};

fn tone(snapshot: &Snapshot) -> Tone {
    match snapshot.status.as_str() {
        snapshot::READY => Tone::Good,
        snapshot::ERROR => Tone::Bad,
        _ => Tone::Changing,
    }
}

fn metadata(snapshot: &Snapshot) -> String {
    let labels = snapshot.metadata.iter().flatten();
    labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
