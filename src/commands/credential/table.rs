//! How stored credentials print.

use crate::output::{Column, SortKey, Table};
use crate::wire::credential::VolumeCredential;

pub(crate) static CREDENTIALS: Table<VolumeCredential> = Table {
    noun: "credential",
    plural: "credentials",
    columns: &[
        Column::<VolumeCredential>::new("name", |credential| credential.name.clone()),
        Column::<VolumeCredential>::new("id", |credential| credential.id.clone()),
        Column::<VolumeCredential>::new("type", |credential| credential.kind.clone()),
        Column::<VolumeCredential>::new("age", |credential| credential.created_at.clone())
            .text(|credential, now| now.age(&credential.created_at))
            .sort(|credential| SortKey::time(&credential.created_at)),
    ],
    name: |credential| &credential.name,
    id: |credential| &credential.id,
    empty_hint: Some("fastvm credential create reader --type s3 --data-file FILE"),
};
