//! What a transfer tells while it runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// Tells of the bytes of one shard once, however often it is sent.
pub(super) struct RetryProgress {
    inner: Arc<dyn Progress>,
    told: AtomicU64,
    moved: AtomicU64,
}

impl RetryProgress {
    pub(super) fn new(inner: Arc<dyn Progress>) -> Self {
        Self {
            inner,
            told: AtomicU64::new(0),
            moved: AtomicU64::new(0),
        }
    }

    /// The shard begins again.
    pub(super) fn again(&self) {
        self.moved.store(0, Ordering::Relaxed);
    }
}

impl Progress for RetryProgress {
    fn total(&self, bytes: Option<u64>, files: Option<u64>) {
        self.inner.total(bytes, files);
    }

    fn advance(&self, bytes: u64) {
        let moved = self.moved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let told = self.told.fetch_max(moved, Ordering::Relaxed);
        if moved > told {
            self.inner.advance(moved - told);
        }
    }

    fn file(&self, name: &Path) {
        self.inner.file(name);
    }

    fn warn(&self, text: String) {
        self.inner.warn(text);
    }
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
