//! Which journal a copy is written down in.

use std::path::PathBuf;
use std::sync::Arc;

use super::plan::Plan;
use crate::context::Context;
use crate::error::{Error, Kind};
use fastvm_transfer::{Cleanup, DownloadTarget, Journal, UploadSource};

/// The journal of this copy; none for what can't be taken up again, and when another process is at the same copy.
pub(super) fn open(context: &Context, plan: &Plan, vm: &str) -> Option<Arc<Journal>> {
    let full = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let (key, boot): (Vec<Vec<u8>>, _) = match plan {
        Plan::Up {
            sources: UploadSource::Paths(paths),
            target,
            ..
        } => {
            let sources = paths.iter().map(full);
            let sources = sources.map(|path| path.into_os_string().into_encoded_bytes());
            let target = [
                target.path.clone().into_bytes(),
                vec![u8::from(target.into)],
            ];
            let key = [b"up".to_vec(), vm.into()];
            (key.into_iter().chain(target).chain(sources).collect(), None)
        }
        Plan::Down {
            sources,
            target: DownloadTarget::Path { path, into },
            ..
        } => {
            let sources = sources
                .iter()
                .map(|source| source.path.clone().into_bytes());
            let target = full(path).into_os_string().into_encoded_bytes();
            let target = [target, vec![u8::from(*into)]];
            let key = [b"down".to_vec(), vm.into()];
            let key = key.into_iter().chain(target).chain(sources).collect();
            (key, Some(boot()))
        }
        _ => return None,
    };
    let key: Vec<_> = key.iter().map(Vec::as_slice).collect();
    // A copy without a journal is a copy too.
    Journal::open(&context.paths.transfers, &key, boot)
        .ok()
        .flatten()
        .map(Arc::new)
}

/// What tells this start of the system from others. Where the system does not say, each copy is taken for one of a new start: no file
/// that came earlier is believed, only parts, which have checksums.
fn boot() -> String {
    let id = if cfg!(target_os = "linux") {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()
    } else {
        None
    };
    let id = id.map(|id| id.trim().to_owned());
    id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

/// Leftovers that are written down where there is a journal.
pub(super) fn cleanup(journal: Option<&Arc<Journal>>) -> Cleanup {
    journal
        .cloned()
        .map(Cleanup::with_journal)
        .unwrap_or_default()
}

/// Says what to do about a copy that was cut off, where the same command has less to do.
pub(super) fn hint(error: Error, journal: Option<&Journal>) -> Error {
    let cut_off = matches!(
        error.kind(),
        Kind::Network | Kind::StreamLost | Kind::Server | Kind::RateLimited | Kind::Interrupted(_)
    );
    if cut_off && journal.is_some_and(Journal::is_resumable) {
        error
            .or_hint(|| "run the same command again: what has arrived is not sent twice".to_owned())
    } else {
        error
    }
}
