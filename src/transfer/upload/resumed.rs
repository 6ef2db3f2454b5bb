//! What an earlier try of the same copy brought of a large file.

use std::ops::Range;

use super::Job;
use super::large_file::Big;
use super::parts::Route;
use crate::transfer::error::Error;
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::script::{self, Adopt};

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
    /// Takes over the parts that are in the VM with the bytes that they have here; answers their ranges, in order.
    pub(super) async fn take_over(
        &self,
        route: &Route<'_>,
        big: &Big,
    ) -> Result<Vec<Range<u64>>, Error> {
        let stamp = (big.meta.size, big.meta.modified);
        let begun = self.settings.leftovers.journal();
        let Some(begun) = begun.and_then(|journal| journal.begun(&big.place, stamp)) else {
            return Ok(Vec::new());
        };
        // Where nothing is sent, nothing would overwrite what a part that was cut off left in a hole.
        if big.is_sparse()? || !route.place.tools.has("cksum") {
            return Ok(Vec::new());
        }
        let parts = big.sums(begun.ranges.clone()).await?;
        let temp = big.temp(&route.stage);
        let adopt = Adopt {
            old: &begun.temp,
            new: Some(&temp),
            parts: &parts,
            path: &big.shown.display().to_string(),
        };
        let same = match script::adopt(self.guest, adopt).await {
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
            self.note_part(route, big, range);
            self.progress.advance(range.end - range.start);
        }
        Ok(there)
    }

    /// Writes down a part that is in the VM.
    pub(super) fn note_part(&self, route: &Route<'_>, big: &Big, range: &Range<u64>) {
        if let Some(journal) = self.settings.leftovers.journal() {
            let stamp = (big.meta.size, big.meta.modified);
            journal.brought(&big.place, stamp, &big.temp(&route.stage), range);
        }
    }
}
