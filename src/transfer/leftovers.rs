//! What a transfer has standing in the VM, so that an interrupted one can be tidied up after.

use std::sync::{Arc, Mutex, PoisonError};

use super::error::Error;
use super::remote::Guest;
use super::script;

/// The temporary paths a transfer has made in the VM; clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Leftovers(Arc<Mutex<Vec<String>>>);

impl Leftovers {
    /// Paths that may stand in the VM.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn add(&self, path: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path.to_owned());
    }

    pub(super) fn remove(&self, path: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| known != path);
    }
}

/// Removes from the VM what an interrupted transfer left there. Asks nothing of the VM when there is nothing.
///
/// # Errors
/// When the VM can't be reached or refuses; [`Leftovers::paths`] still names what is left.
pub async fn cleanup(guest: &impl Guest, leftovers: &Leftovers) -> Result<(), Error> {
    let paths = leftovers.paths();
    if paths.is_empty() {
        return Ok(());
    }
    script::remove(guest, &paths).await?;
    for path in paths {
        leftovers.remove(&path);
    }
    Ok(())
}
