//! What a verb did to a volume, in one line with the command that comes next.

use crate::commands::shared::resolve_name::Named;
use crate::output::control::visible;
use fastvm_api::types::volume::{READY, Volume};

/// `created data (…); mount it with …`, with the status where the volume cannot be mounted.
pub(super) fn line(done: &str, volume: &Volume) -> String {
    let named = Named::volume(volume);
    let (label, word) = (named.label(), visible(named.word()));
    let see = format!("see all of it with `fastvm volume get {word}`");
    match volume.status.as_deref() {
        Some(READY) | None => {
            let mount = format!("mount it with `fastvm vm launch --volume {word}:/PATH`");
            format!("{done} {label}; {mount}")
        }
        Some(status) => {
            let why = match volume.status_message.as_deref() {
                None | Some("") => String::new(),
                Some(message) => format!(" ({})", visible(message)),
            };
            let status = visible(status);
            format!("{done} {label}, whose status is {status}{why}; {see}")
        }
    }
}
