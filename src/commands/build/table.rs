//! How builds print.

use crate::output::{Column, Shown, SortKey, Style, Table};
use fastvm_api::types::build::Build;

pub(crate) static BUILDS: Table<Build> = Table {
    noun: "build",
    plural: "builds",
    columns: &[
        Column::<Build>::new("id", |build| build.id.clone()),
        Column::<Build>::new("status", |build| build.status.clone().unwrap_or_default())
            .tone(|build| Style::of_status(build.status.as_deref().unwrap_or_default())),
        Column::<Build>::new("name", |build| build.name.clone().unwrap_or_default()),
        Column::<Build>::new("image", |build| build.image_ref.clone().unwrap_or_default()),
        Column::<Build>::new("snapshot", |build| {
            build.snapshot_id.clone().unwrap_or_default()
        }),
        Column::<Build>::new("progress", |build| {
            build.progress.clone().unwrap_or_default()
        }),
        Column::<Build>::new("error", |build| build.error.clone().unwrap_or_default())
            .shown(Shown::Wide),
        Column::<Build>::new("age", |build| created(build).to_owned())
            .text(|build, now| now.age(created(build)))
            .csv(|build, now| now.seconds(created(build)))
            .sort(|build| SortKey::age(created(build))),
        Column::<Build>::new("created", |build| created(build).to_owned())
            .sort(|build| SortKey::time(created(build)))
            .shown(Shown::Wide),
    ],
    name: |build| build.name.as_deref().unwrap_or_default(),
    id: |build| &build.id,
    empty_hint: None,
};

fn created(build: &Build) -> &str {
    build.created_at.as_deref().unwrap_or_default()
}
