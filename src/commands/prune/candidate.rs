//! Something that may be deleted, and how it prints.

use std::path::PathBuf;

use serde::Serialize;

use crate::output::control::visible;
use crate::output::{Column, SortKey, Table};

/// Something that is not in use.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Candidate {
    /// `VM`, `snapshot`, `volume` or `leftover`.
    pub(super) kind: &'static str,
    /// The id, or the path of a leftover.
    pub(super) id: String,
    pub(super) name: String,
    /// RFC 3339; empty where nothing says it.
    pub(super) created_at: String,
    /// Why it was chosen.
    pub(super) reason: String,
    pub(super) deleted: bool,
    #[serde(skip)]
    pub(super) target: Target,
}

/// What is to be deleted.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Vm,
    Snapshot,
    Volume,
    /// The journal of a copy.
    Journal(PathBuf),
    /// What a repair set aside.
    #[cfg(target_os = "linux")]
    SetAside(fastvm_engine::Leftover),
}

impl Candidate {
    /// How messages call it.
    pub(super) fn label(&self) -> String {
        match self.target {
            Target::Vm | Target::Snapshot | Target::Volume => format!(
                "{} {} ({})",
                self.kind,
                visible(&self.name),
                visible(&self.id)
            ),
            _ => format!("{} ({})", visible(&self.id), visible(&self.name)),
        }
    }
}

pub(crate) static CANDIDATES: Table<Candidate> = Table {
    noun: "thing to prune",
    plural: "things to prune",
    columns: &[
        Column::<Candidate>::new("kind", |candidate| candidate.kind.to_owned()),
        Column::<Candidate>::new("name", |candidate| candidate.name.clone()),
        Column::<Candidate>::new("id", |candidate| candidate.id.clone()),
        Column::<Candidate>::new("age", |candidate| candidate.created_at.clone())
            .text(|candidate, now| now.age(&candidate.created_at))
            .sort(|candidate| SortKey::time(&candidate.created_at)),
        Column::<Candidate>::new("reason", |candidate| candidate.reason.clone()),
    ],
    name: |candidate| &candidate.name,
    id: |candidate| &candidate.id,
    empty_hint: None,
};
