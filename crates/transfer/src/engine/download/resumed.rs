//! What an earlier try of the same copy, which was killed, brought of a large file.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::Download;
use crate::blocking;
use crate::disk::folder::Folder;
use crate::disk::install;
use crate::disk::range_checksums::checksum_ranges;
use crate::engine::shards::gaps;
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::format::mtime::Mtime;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, ReuseRanges, Tools};
use crate::resume::journal::{Noted, PartialFile};

/// A file that is taken over, beside its place.
#[derive(Clone, Debug)]
pub(super) struct Resumed {
    pub(super) file: Arc<File>,
    /// Parts that are the same in the VM, in order; never all, for one must tell how the file is now.
    pub(super) there: Vec<Range<u64>>,
    /// Nothing is written elsewhere.
    pub(super) is_clear: bool,
    /// The time of the VM's file, then and now.
    pub(super) modified: Mtime,
}

impl Resumed {
    /// Clears all that is not there.
    fn clear(
        file: Arc<File>,
        there: Vec<Range<u64>>,
        begun: &PartialFile,
    ) -> std::io::Result<Self> {
        let (size, modified) = begun.stamp;
        let is_clear = if there.is_empty() {
            file.set_len(0)?;
            true
        } else {
            let clear = |gap: &Range<u64>| Folder::clear_part(&file, gap).is_ok();
            gaps(&there, size).iter().all(clear)
        };
        Ok(Self {
            file,
            there,
            is_clear,
            modified,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.there.iter().map(|part| part.end - part.start).sum()
    }
}

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    /// What earlier tries may have left at the target.
    pub(super) fn earlier(&self) -> install::EarlierTries {
        let noted = self.noted.as_ref();
        install::EarlierTries {
            stages: noted.map(Noted::stages).unwrap_or_default(),
            spared: noted.map(Noted::others).unwrap_or_default(),
        }
    }

    /// What an earlier try brought of a file of this size and time.
    pub(super) fn begun(&self, place: &MemberPath, stamp: (u64, Mtime)) -> Option<PartialFile> {
        self.noted.as_ref()?.begun(place, stamp)
    }

    /// Keeps of a file what is the same in the VM, and clears the rest. The journal calls it `temp` from now on.
    pub(super) async fn keep(
        &self,
        (path, tools): (&str, &Tools),
        (place, temp): (&MemberPath, &str),
        (file, begun): (File, PartialFile),
    ) -> Result<Resumed, Error> {
        let file = Arc::new(file);
        let mut there = self.same((path, tools), &file, &begun.ranges).await?;
        if gaps(&there, begun.stamp.0).is_empty() {
            there.pop();
        }
        for part in &there {
            self.note_part(place, Some(begun.stamp), temp, part);
        }
        let path = PathBuf::from(path);
        let earlier = blocking(move || {
            Resumed::clear(file, there, &begun).map_err(|error| Error::local("write", path, error))
        });
        let earlier = earlier.await?;
        self.progress.advance(earlier.bytes());
        Ok(earlier)
    }

    /// Which of these parts are the same at both ends.
    async fn same(
        &self,
        (path, tools): (&str, &Tools),
        file: &Arc<File>,
        parts: &[Range<u64>],
    ) -> Result<Vec<Range<u64>>, Error> {
        if !tools.has("cksum") {
            return Ok(Vec::new());
        }
        let (file, ranges, shown) = (file.clone(), parts.to_vec(), PathBuf::from(path));
        let sums = blocking(move || {
            checksum_ranges(&file, ranges).map_err(|error| Error::local("read", shown, error))
        });
        let parts = sums.await?;
        let look = ReuseRanges {
            old: path,
            new: None,
            parts: &parts,
            path,
        };
        let same = match script::reuse_ranges(self.guest, look).await {
            Ok(same) => same,
            Err(error @ Error::Remote(_)) => return Err(error),
            // What can't be looked at is brought again.
            Err(_) => return Ok(Vec::new()),
        };
        let same = parts.into_iter().zip(same).filter(|(_, same)| *same);
        Ok(same.map(|((part, _), _)| part).collect())
    }

    /// Writes down a part that has arrived, and where it stands; not of a file that changed.
    pub(super) fn note_part(
        &self,
        place: &MemberPath,
        stamp: Option<(u64, Mtime)>,
        temp: &str,
        part: &Range<u64>,
    ) {
        if let (Some(noted), Some(stamp)) = (&self.noted, stamp) {
            noted.record_range(place, stamp, temp, part);
        }
    }

    /// Writes down a file that is in its place.
    pub(super) fn note_file(&self, place: &MemberPath, (size, modified): (u64, Mtime)) {
        if let Some(noted) = &self.noted {
            noted.arrived(std::iter::once((place.clone(), size, modified)));
        }
    }

    /// Returns whether an earlier try brought a file that is now as it was then at both ends.
    pub(super) async fn is_there(
        &self,
        place: &MemberPath,
        (stamp, mode): ((u64, Mtime), u32),
        target: PathBuf,
    ) -> Result<bool, Error> {
        let noted = self.noted.as_ref();
        if noted.and_then(|noted| noted.arrived_earlier(place)) != Some(stamp) {
            return Ok(false);
        }
        blocking(move || {
            let found = Folder::open_parent(&target).and_then(|(folder, name)| folder.meta(&name));
            Ok(found.is_ok_and(|meta| meta.is_as(stamp, mode)))
        })
        .await
    }
}
