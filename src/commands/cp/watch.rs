//! A transfer's progress, on the bar.

use std::path::Path;

use crate::output::control::visible;
use crate::output::{TransferBar, Ui};
use crate::transfer::Progress;

/// Shows a transfer until it is dropped.
#[derive(Debug)]
pub(super) struct Watch(TransferBar);

impl Watch {
    pub(super) fn new(ui: &Ui) -> Self {
        Self(ui.transfer_bar())
    }
}

impl Progress for Watch {
    fn total(&self, bytes: Option<u64>, files: Option<u64>) {
        self.0.total(bytes, files);
    }

    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn file(&self, name: &Path) {
        self.0.file(name);
    }

    fn warn(&self, text: String) {
        self.0.warn(&visible(&text));
    }
}
