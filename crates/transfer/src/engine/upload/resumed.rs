//! What an earlier try of the same copy brought of a large file.

use std::ops::Range;

use super::Upload;
use super::large_file::LargeFile;
use super::parts::Route;
use crate::error::Error;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, ReuseRanges};

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    /// Takes over the parts that are in the VM with the bytes that they have here; returns their ranges, in order.
    pub(super) async fn take_over(
        &self,
        route: &Route<'_>,
        large: &LargeFile,
    ) -> Result<Vec<Range<u64>>, Error> {
        let stamp = (large.meta.size, large.meta.modified);
        let begun = self.settings.cleanup.journal();
        let Some(begun) = begun.and_then(|journal| journal.begun(&large.place, stamp)) else {
            return Ok(Vec::new());
        };
        // Where nothing is sent, nothing would overwrite what a part that was cut off left in a hole.
        if large.is_sparse()? || !route.place.tools.has("cksum") {
            return Ok(Vec::new());
        }
        let parts = large.sums(begun.ranges.clone()).await?;
        let temp = large.temp(&route.stage);
        let adopt = ReuseRanges {
            old: &begun.temp,
            new: Some(&temp),
            parts: &parts,
            path: &large.shown.display().to_string(),
        };
        let same = match script::reuse_ranges(self.guest, adopt).await {
            Ok(same) => same,
            Err(error @ Error::Remote(_)) => return Err(error),
            // What can't be looked at is sent again.
            Err(_) => return Ok(Vec::new()),
        };
        let there = begun.ranges.iter().zip(same);
        let there: Vec<_> = there
            .filter(|(_, same)| *same)
            .map(|(range, _)| range.clone())
            .collect();
        for range in &there {
            self.note_part(route, large, range);
            self.progress.advance(range.end - range.start);
        }
        Ok(there)
    }

    /// Writes down a part that is in the VM.
    pub(super) fn note_part(&self, route: &Route<'_>, large: &LargeFile, range: &Range<u64>) {
        if let Some(journal) = self.settings.cleanup.journal() {
            let stamp = (large.meta.size, large.meta.modified);
            journal.record_range(&large.place, stamp, &large.temp(&route.stage), range);
        }
    }
}
