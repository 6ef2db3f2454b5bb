//! How builds print.

use crate::output::{Column, Shown, SortKey, Table, Tone};
use crate::wire::build::Build;

pub(crate) static BUILDS: Table<Build> = Table {
    noun: "build",
    plural: "builds",
    columns: &[
        Column::<Build>::new("id", |build| build.id.clone()),
        Column::<Build>::new("status", |build| build.status.clone())
            .tone(|build| Tone::of_status(&build.status)),
        Column::<Build>::new("name", |build| build.name.clone().unwrap_or_default()),
        Column::<Build>::new("image", |build| build.image_ref.clone()),
        Column::<Build>::new("snapshot", |build| {
            build.snapshot_id.clone().unwrap_or_default()
        }),
        Column::<Build>::new("progress", |build| {
            build.progress.clone().unwrap_or_default()
        }),
        Column::<Build>::new("error", |build| build.error.clone().unwrap_or_default())
            .shown(Shown::Wide),
        Column::<Build>::new("age", |build| build.created_at.clone())
            .text(|build, now| now.age(&build.created_at))
            .sort(|build| SortKey::time(&build.created_at)),
    ],
    name: |build| build.name.as_deref().unwrap_or_default(),
    id: |build| &build.id,
    empty_hint: None,
};
