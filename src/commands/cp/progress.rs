//! A transfer's progress, on the bar.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::output::control::visible;
use crate::output::{TransferBar, Ui};
use fastvm_transfer::{Progress, shown_guest_path};

/// Shows transfers, each from `open` to `close`. Threads of an interrupted transfer may speak on for a moment; nobody listens.
#[derive(Debug, Default)]
pub(super) struct CopyProgress(Mutex<Option<TransferBar>>);

impl CopyProgress {
    /// Shows a bar.
    pub(super) fn open(&self, ui: &Ui) {
        *self.bar() = Some(ui.transfer_bar());
    }

    /// Takes the bar away. Returns whether there was one.
    pub(super) fn close(&self) -> bool {
        self.bar().take().is_some()
    }

    fn bar(&self) -> MutexGuard<'_, Option<TransferBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for CopyProgress {
    fn total(&self, bytes: Option<u64>, files: Option<u64>) {
        if let Some(bar) = &*self.bar() {
            bar.total(bytes, files);
        }
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = &*self.bar() {
            bar.advance(bytes);
        }
    }

    fn file(&self, name: &Path) {
        if let Some(bar) = &*self.bar() {
            bar.file(name);
        }
    }

    fn warn(&self, text: String) {
        if let Some(bar) = &*self.bar() {
            bar.warn(&visible(&shown_guest_path(&text)));
        }
    }
}
