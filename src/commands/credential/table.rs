//! How stored credentials print.

use crate::output::{Column, Shown, SortKey, Table};
use fastvm_api::types::credential::VolumeCredential;

pub(crate) static CREDENTIALS: Table<VolumeCredential> = Table {
    noun: "credential",
    plural: "credentials",
    columns: &[
        Column::<VolumeCredential>::new("name", |credential| {
            credential.name.clone().unwrap_or_default()
        }),
        Column::<VolumeCredential>::new("id", |credential| credential.id.clone()),
        Column::<VolumeCredential>::new("type", |credential| {
            credential.kind.clone().unwrap_or_default()
        }),
        Column::<VolumeCredential>::new("age", |credential| created(credential).to_owned())
            .text(|credential, now| now.age(created(credential)))
            .csv(|credential, now| now.seconds(created(credential)))
            .sort(|credential| SortKey::age(created(credential))),
        Column::<VolumeCredential>::new("created", |credential| created(credential).to_owned())
            .sort(|credential| SortKey::time(created(credential)))
            .shown(Shown::Wide),
    ],
    name: |credential| credential.name.as_deref().unwrap_or_default(),
    id: |credential| &credential.id,
    empty_hint: Some("fastvm credential create reader --type s3 --data-file FILE"),
};

fn created(credential: &VolumeCredential) -> &str {
    credential.created_at.as_deref().unwrap_or_default()
}
