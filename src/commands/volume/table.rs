//! How volumes and their attachments print.

use crate::output::human::size;
use crate::output::{Column, Shown, SortKey, Style, Table};
use fastvm_api::types::volume::{Volume, VolumeAttachmentRecord};

pub(crate) static VOLUMES: Table<Volume> = Table {
    noun: "volume",
    plural: "volumes",
    columns: &[
        Column::<Volume>::new("name", |volume| volume.name.clone().unwrap_or_default()),
        Column::<Volume>::new("id", |volume| volume.id.clone()),
        Column::<Volume>::new("status", |volume| volume.status.clone().unwrap_or_default())
            .tone(|volume| Style::of_status(volume.status.as_deref().unwrap_or_default())),
        Column::<Volume>::new("backend", |volume| {
            volume.backend.clone().unwrap_or_default()
        }),
        Column::<Volume>::new("access", |volume| {
            volume.access_mode.clone().unwrap_or_default()
        }),
        Column::<Volume>::new("size", |volume| number(volume.size_gib))
            .text(|volume, _| volume.size_gib.map(gib).unwrap_or_default())
            .sort(|volume| SortKey::number(volume.size_gib)),
        Column::<Volume>::new("attached", |volume| {
            number(volume.attachment_count.map(i64::from))
        })
        .sort(|volume| SortKey::number(volume.attachment_count.map(i64::from))),
        Column::<Volume>::new("age", |volume| created(volume).to_owned())
            .text(|volume, now| now.age(created(volume)))
            .csv(|volume, now| now.seconds(created(volume)))
            .sort(|volume| SortKey::age(created(volume))),
        Column::<Volume>::new("created", |volume| created(volume).to_owned())
            .sort(|volume| SortKey::time(created(volume)))
            .shown(Shown::Wide),
        Column::<Volume>::new("consistency", |volume| {
            volume.consistency.clone().unwrap_or_default()
        })
        .shown(Shown::Wide),
        Column::<Volume>::new("billed", |volume| number(volume.billable_gib))
            .text(|volume, _| volume.billable_gib.map(gib).unwrap_or_default())
            .sort(|volume| SortKey::number(volume.billable_gib))
            .shown(Shown::Wide),
        Column::<Volume>::new("message", |volume| {
            volume.status_message.clone().unwrap_or_default()
        })
        .shown(Shown::Wide),
        Column::<Volume>::new("org", |volume| volume.org_id.clone().unwrap_or_default())
            .shown(Shown::OnRequest),
    ],
    name: |volume| volume.name.as_deref().unwrap_or_default(),
    id: |volume| &volume.id,
    empty_hint: Some("fastvm volume create data --size-gib 10"),
};

fn created(volume: &Volume) -> &str {
    volume.created_at.as_deref().unwrap_or_default()
}

pub(crate) static ATTACHMENTS: Table<VolumeAttachmentRecord> = Table {
    noun: "attachment",
    plural: "attachments",
    columns: &[
        Column::<VolumeAttachmentRecord>::new("vm", |record| {
            record.vm_id.clone().unwrap_or_default()
        }),
        Column::<VolumeAttachmentRecord>::new("path", |record| {
            record.mount_path.clone().unwrap_or_default()
        }),
        Column::<VolumeAttachmentRecord>::new("access", |record| {
            let word = |read_only| if read_only { "ro" } else { "rw" };
            record.read_only.map(word).unwrap_or_default().to_owned()
        }),
        Column::<VolumeAttachmentRecord>::new("status", |record| status(record).to_owned())
            .tone(|record| Style::of_status(status(record))),
        Column::<VolumeAttachmentRecord>::new("message", |record| {
            record.status_message.clone().unwrap_or_default()
        }),
    ],
    name: |record| record.vm_id.as_deref().unwrap_or_default(),
    id: |record| record.vm_id.as_deref().unwrap_or_default(),
    empty_hint: None,
};

fn status(record: &VolumeAttachmentRecord) -> &str {
    match record.mount_status.as_deref() {
        _ if record.rotation_required == Some(true) => "rotationRequired",
        status => status.unwrap_or_default(),
    }
}

fn gib(number: i64) -> String {
    size(u64::try_from(number).unwrap_or(0).saturating_mul(1 << 30))
}

fn number(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}
