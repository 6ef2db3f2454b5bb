//! What a transfer tells while it runs.

use std::path::Path;

/// Someone who watches a transfer. Called from several threads; must not block.
pub trait Progress: Send + Sync {
    /// How much there is, once it is known; `None` when it can't be.
    fn total(&self, bytes: Option<u64>, files: Option<u64>);
    /// So many more bytes of file content were packed or unpacked.
    fn advance(&self, bytes: u64);
    /// The file at hand, below the source.
    fn file(&self, name: &Path);
    /// A sentence for the user that does not stop the transfer. Text from a VM is already cleaned.
    fn warn(&self, text: String);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn total(&self, _bytes: Option<u64>, _files: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
    fn file(&self, _name: &Path) {}
    fn warn(&self, _text: String) {}
}
