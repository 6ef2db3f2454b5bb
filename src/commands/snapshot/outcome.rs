//! What a verb did to a snapshot, in one line with the command that comes next.

use crate::commands::shared::resolve_name::Named;
use crate::output::control::visible;
use fastvm_api::types::snapshot::{READY, Snapshot};

/// `created golden (…), which is ready; launch from it with …`.
pub(super) fn line(done: &str, snapshot: &Snapshot) -> String {
    let named = Named::snapshot(snapshot);
    let (label, state) = (named.label(), visible(state(snapshot)));
    let word = visible(named.word());
    let next = match snapshot.status.as_deref() {
        Some(READY) => format!("launch from it with `fastvm vm launch --snapshot {word}`"),
        _ => format!("see how far it is with `fastvm snapshot get {word}`"),
    };
    format!("{done} {label}, which is {state}; {next}")
}

/// The status of a snapshot in a sentence.
pub(super) fn state(snapshot: &Snapshot) -> &str {
    snapshot.status.as_deref().unwrap_or("without a status")
}
