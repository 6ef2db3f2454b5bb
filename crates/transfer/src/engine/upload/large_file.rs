//! A file that is larger than a shard: parts of it at once, each checked, put together beside its place.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Upload;
use super::file::one_file;
use super::parts::Route;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::READINGS;
use crate::blocking;
use crate::disk::folder::{Folder, Meta};
use crate::disk::pack::{Stop, holes};
use crate::disk::range_checksums::checksum_ranges;
use crate::engine::send::{Output, send};
use crate::engine::shards::{Limiter, PartSizes, gaps};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, BLOCK, FileMode, FinishFile, PutRange};
use crate::progress::{Progress, RetryProgress};
use crate::summary::Summary;

const CHUNK: usize = 128 * 1024;

/// An opened file, and the parts it goes in.
#[derive(Debug)]
pub(super) struct LargeFile {
    /// Its entry in the tree and those that are other names of it; none for a file that goes alone.
    pub(super) entries: Vec<usize>,
    /// Its place in the copy.
    pub(super) place: MemberPath,
    /// As the user knows it.
    pub(super) shown: PathBuf,
    pub(super) file: File,
    pub(super) meta: Meta,
    /// The folder in the VM that its names are below, and these as words of shell.
    pub(super) folder: String,
    pub(super) names: Vec<u8>,
    /// No two files have the same.
    pub(super) number: usize,
    /// How often it was read before.
    pub(super) reading: u32,
    pub(super) ranges: Vec<Range<u64>>,
    /// Parts that an earlier try brought.
    taken_over: usize,
    left: AtomicUsize,
}

/// What is to become of a file whose parts have all been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stability {
    Yes,
    /// It changed meanwhile and may be read again.
    Again,
    /// It changed each time.
    Never,
}

impl LargeFile {
    /// Plans the parts that hold data, as the file is now.
    pub(super) fn cut(mut self, sizes: PartSizes) -> std::io::Result<Self> {
        self.meta = Folder::file_meta(&self.file)?;
        self.plan(&holes::parts(&self.file, self.meta.size)?, sizes);
        Ok(self)
    }

    /// Plans all parts but those that are there, as the file was when they were looked at.
    pub(super) fn cut_rest(mut self, there: &[Range<u64>], sizes: PartSizes) -> Self {
        self.taken_over = there.len();
        let gaps = gaps(there, self.meta.size).into_iter();
        let gaps: Vec<_> = gaps.map(|gap| (gap.start, gap.end - gap.start)).collect();
        self.plan(&gaps, sizes);
        self
    }

    fn plan(&mut self, parts: &[holes::Part], sizes: PartSizes) {
        self.ranges = ranges(parts, self.meta.size, sizes);
        self.left = AtomicUsize::new(self.ranges.len());
    }

    pub(super) fn is_sparse(&self) -> Result<bool, Error> {
        let parts = holes::parts(&self.file, self.meta.size);
        let parts = parts.map_err(|error| Error::local("read", &self.shown, error))?;
        Ok(parts != [(0, self.meta.size)])
    }

    /// How many parts must be in the VM in the end.
    pub(super) fn parts(&self) -> u64 {
        (self.ranges.len() + self.taken_over) as u64
    }

    /// A file to be cut.
    pub(super) fn new(
        (entries, place): (Vec<usize>, MemberPath),
        shown: PathBuf,
        (file, meta): (File, Meta),
        (folder, names): (String, Vec<u8>),
        number: usize,
    ) -> Self {
        Self {
            entries,
            place,
            shown,
            file,
            meta,
            folder,
            names,
            number,
            reading: 0,
            ranges: Vec::new(),
            taken_over: 0,
            left: AtomicUsize::new(0),
        }
    }

    /// The same file, to be read once more.
    pub(super) fn again(&self, sizes: PartSizes) -> std::io::Result<Self> {
        Self {
            entries: self.entries.clone(),
            place: self.place.clone(),
            shown: self.shown.clone(),
            file: self.file.try_clone()?,
            meta: self.meta,
            folder: self.folder.clone(),
            names: self.names.clone(),
            number: self.number,
            reading: self.reading + 1,
            ranges: Vec::new(),
            taken_over: 0,
            left: AtomicUsize::new(0),
        }
        .cut(sizes)
    }

    /// Bytes that are not sent, for nothing is there.
    pub(super) fn holes(&self) -> u64 {
        let sent: u64 = self
            .ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum();
        self.meta.size.saturating_sub(sent)
    }

    /// Notes a part that arrived; says whether it was the last.
    pub(super) fn arrived(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn stability(&self) -> Result<Stability, Error> {
        let now = Folder::file_meta(&self.file)
            .map_err(|error| Error::local("read", &self.shown, error))?;
        Ok(if self.meta.is_unchanged(&now) {
            Stability::Yes
        } else if self.reading + 1 < READINGS {
            Stability::Again
        } else {
            Stability::Never
        })
    }

    pub(super) fn temp(&self, stage: &str) -> String {
        format!("{stage}/file-{}-{}", self.number, self.reading)
    }

    /// Writes a part.
    fn read_into(
        &self,
        range: Range<u64>,
        out: &mut impl Write,
        progress: &dyn Progress,
    ) -> Result<(), Stop> {
        read(&self.file, range, |bytes| {
            out.write_all(bytes)?;
            progress.advance(bytes.len() as u64);
            Ok(())
        })
        .map_err(|reading| match reading {
            Reading::From(error) => Stop::Failed(Error::local("read", &self.shown, error)),
            Reading::Into(error) => Stop::Closed(error),
        })
    }

    /// The checksums of parts.
    pub(super) async fn sums(
        &self,
        ranges: Vec<Range<u64>>,
    ) -> Result<Vec<(Range<u64>, u32)>, Error> {
        let shown = self.shown.clone();
        let failed = move |error| Error::local("read", &shown, error);
        let file = self.file.try_clone().map_err(&failed)?;
        blocking(move || checksum_ranges(&file, ranges).map_err(failed)).await
    }
}

enum Reading {
    From(std::io::Error),
    Into(std::io::Error),
}

/// Passes on a part of a file, with zeros for what is no longer there: a file that changed goes again as a whole.
fn read(
    file: &File,
    range: Range<u64>,
    mut pass_on: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), Reading> {
    let mut buffer = vec![0; CHUNK];
    let mut at = range.start;
    while at < range.end {
        let room = CHUNK.min(usize::try_from(range.end - at).unwrap_or(CHUNK));
        let got = match Folder::read_at(file, &mut buffer[..room], at) {
            Ok(0) => {
                buffer[..room].fill(0);
                room
            }
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Reading::From(error)),
        };
        pass_on(&buffer[..got]).map_err(Reading::Into)?;
        at += got as u64;
    }
    Ok(())
}

/// Cuts what holds data into ranges that begin at whole blocks.
fn ranges(parts: &[holes::Part], size: u64, sizes: PartSizes) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for &(start, length) in parts {
        let end = start + length;
        let done = ranges.last().map_or(0, |last| last.end);
        let mut at = (start / BLOCK * BLOCK).max(done);
        while at < end {
            let last_most = sizes.of(ranges.len().saturating_sub(1));
            let most = sizes.of(ranges.len());
            // Two pieces of data with little between them are one range.
            let next = match ranges.last_mut() {
                Some(last) if at < last.start + last_most && at <= last.end + BLOCK => {
                    last.end = end
                        .next_multiple_of(BLOCK)
                        .min(last.start + last_most)
                        .min(size);
                    last.end
                }
                _ => {
                    let next = (at + most).min(end.next_multiple_of(BLOCK)).min(size);
                    ranges.push(at..next);
                    next
                }
            };
            at = next;
        }
    }
    ranges
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    /// Sends one part until it is in the VM; returns its bytes on the wire.
    pub(super) async fn part(
        &self,
        route: &Route<'_>,
        limiter: &Limiter,
        large: &Arc<LargeFile>,
        range: Range<u64>,
    ) -> Result<u64, Error> {
        let progress = Arc::new(RetryProgress::new(self.progress.clone()));
        let (temp, path) = (large.temp(&route.stage), large.shown.display().to_string());
        let name = format!("{}-{}-{}", large.number, large.reading, range.start);
        let mut retries = Retries::default();
        let mut wire_bytes = 0;
        for attempt in 0.. {
            let make = || {
                progress.again();
                let (large, progress, range) = (large.clone(), progress.clone(), range.clone());
                move |out: &mut Output| large.read_into(range, out, &*progress)
            };
            let name = format!("{name}-{attempt}");
            let encoding = self.part_encoding(route.codec);
            let bytes = range.end - range.start;
            let permit = limiter.acquire().await;
            let sent = send(self.store, &self.object_name(&name), &encoding, bytes, make).await?;
            drop(permit);
            wire_bytes += sent.wire_bytes;
            let put = async {
                let object = self
                    .object(route.place, &route.stage, &name, &sent.object.download)
                    .await?;
                let put = PutRange {
                    temp: &temp,
                    block: range.start / BLOCK,
                    size: bytes,
                    sum: sent.sum,
                    codec: route.codec,
                    object,
                    path: &path,
                };
                script::put_range(self.guest, put).await
            };
            let put = put.await;
            self.store.mark_done(&sent.object.download);
            match put {
                Ok(()) => break,
                Err(error) => retries.again(error).await?,
            }
        }
        self.note_part(route, large, &range);
        Ok(wire_bytes)
    }

    /// Puts a file together whose parts have all arrived, and in place.
    pub(super) async fn finish(&self, route: &Route<'_>, large: &LargeFile) -> Result<(), Error> {
        let mut retries = Retries::default();
        let temp = large.temp(&route.stage);
        let modes = self.settings.local_modes;
        let mode = modes.of_file(large.meta.mode, &large.file);
        let mode = mode.map_err(|error| Error::local("read", &large.shown, error))?;
        loop {
            let file = FinishFile {
                folder: &large.folder,
                temp: &temp,
                size: large.meta.size,
                parts: large.parts(),
                mode: FileMode::of(modes, mode),
                modified: large.meta.modified,
                names: large.names.clone(),
            };
            match script::finish_file(self.guest, file).await {
                Ok(()) => return Ok(()),
                Err(error) => retries.again(error).await?,
            }
        }
    }

    /// Plans the parts of a file, without those that an earlier try brought; returns the bytes of these too.
    pub(super) async fn cut(
        &self,
        route: &Route<'_>,
        large: LargeFile,
        sizes: PartSizes,
    ) -> Result<(LargeFile, u64), Error> {
        let there = self.take_over(route, &large).await?;
        let large = if there.is_empty() {
            let shown = large.shown.clone();
            large
                .cut(sizes)
                .map_err(|error| Error::local("read", shown, error))?
        } else {
            large.cut_rest(&there, sizes)
        };
        let continued = there.iter().map(|range| range.end - range.start).sum();
        // The rest of what is not sent are holes.
        self.progress
            .advance(large.holes().saturating_sub(continued));
        Ok((large, continued))
    }

    /// Sends a file that goes alone, as often as it changes meanwhile, and puts it in place.
    pub(super) async fn in_parts(
        &self,
        route: &Route<'_>,
        large: LargeFile,
    ) -> Result<Summary, Error> {
        let limiter = Limiter::new(self.settings.shards);
        let shown = large.shown.clone();
        let failed = |error| Error::local("read", &shown, error);
        let (large, continued) = self.cut(route, large, limiter.parts(u64::MAX)).await?;
        let mut large = Arc::new(large);
        let mut wire_bytes = 0;
        loop {
            let mut waiting = large.ranges.iter().cloned();
            let mut in_flight = FuturesUnordered::new();
            loop {
                while in_flight.len() < limiter.most_tasks() {
                    let Some(range) = waiting.next() else { break };
                    let (bytes, large, limiter) = (range.end - range.start, &large, &limiter);
                    in_flight.push(async move {
                        let wire = self.part(route, limiter, large, range).await?;
                        limiter.record(bytes);
                        Ok::<_, Error>(wire)
                    });
                }
                match in_flight.next().await {
                    Some(wire) => wire_bytes += wire?,
                    None => break,
                }
            }
            drop(in_flight);
            match large.stability()? {
                Stability::Yes => {
                    self.finish(route, &large).await?;
                    return Ok(Summary {
                        continued_bytes: continued,
                        ..one_file(large.meta.size, wire_bytes)
                    });
                }
                Stability::Again => {
                    self.changed_again(&large);
                    large = Arc::new(large.again(limiter.parts(u64::MAX)).map_err(failed)?);
                }
                Stability::Never => return Err(Error::Changed(vec![shown])),
            }
        }
    }

    /// What is said when a file changed meanwhile.
    pub(super) fn changed_again(&self, large: &LargeFile) {
        self.progress.warn(format!(
            "{} changed while being read; it is sent again",
            large.shown.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_with_little_between_it_is_one_range_and_with_more_it_is_two() {
        let sizes = PartSizes {
            first: 8 * BLOCK,
            largest: 8 * BLOCK,
        };
        let cut = |gap| {
            let ranges = ranges(&[(0, BLOCK), (BLOCK + gap, BLOCK)], 100 * BLOCK, sizes);
            let blocks = ranges.iter();
            let blocks = blocks.map(|range| (range.start / BLOCK, range.end / BLOCK));
            blocks.collect::<Vec<_>>()
        };
        assert_eq!(cut(BLOCK), [(0, 3)]);
        assert_eq!(cut(2 * BLOCK), [(0, 1), (3, 4)]);
    }

    #[test]
    fn ranges_hold_all_data_once_and_leave_holes_out() {
        let (block, size) = (BLOCK, 100 * BLOCK + 5);
        for parts in [
            vec![(0, size)],
            vec![],
            vec![(3, 10), (20 * block + 7, 3 * block)],
            vec![(0, block), (2 * block, block), (2 * block + 1 + block, 10)],
            vec![(99 * block, block + 5)],
            vec![(0, 10), (20, 10), (block - 1, 2)],
        ] {
            for most in [1, block, 8 * block, 7 * block + 3, 1 << 40] {
                let sizes = PartSizes {
                    first: most,
                    largest: most,
                };
                let ranges = ranges(&parts, size, sizes);
                for &(start, length) in &parts {
                    for at in [start, start + length / 2, start + length - 1] {
                        let holding = ranges.iter().filter(|range| range.contains(&at));
                        assert_eq!(holding.count(), 1, "{at} in {parts:?} by {most}");
                    }
                }
                for range in &ranges {
                    assert!(range.start % block == 0 && range.end <= size && !range.is_empty());
                    assert!(range.end - range.start <= most.max(block));
                }
                assert!(ranges.is_sorted_by(|one, other| one.end <= other.start));
            }
        }
    }
}
