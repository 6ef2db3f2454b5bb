//! A file that is larger than a shard: parts of it at once, each checked, put together beside its place.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Job;
use super::file::one_file;
use super::parts::Route;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::transfer::READINGS;
use crate::transfer::error::Error;
use crate::transfer::folder::{Folder, Meta};
use crate::transfer::pack::{Stop, holes};
use crate::transfer::progress::{Progress, Steady};
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::retry::Retries;
use crate::transfer::script::{self, BLOCK, FinishFile, PutRange};
use crate::transfer::send::{Output, send};
use crate::transfer::shards::{Gauge, PartSizes};
use crate::transfer::summary::Summary;

const PIECE: usize = 128 * 1024;

/// An opened file, and the parts it goes in.
#[derive(Debug)]
pub(super) struct Big {
    /// Its entry in the tree and those that are other names of it; none for a file that goes alone.
    pub(super) entries: Vec<usize>,
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
    left: AtomicUsize,
}

/// What is to become of a file whose parts have all been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    Yes,
    /// It changed meanwhile and may be read again.
    Again,
    /// It changed each time.
    Never,
}

impl Big {
    /// Plans the parts that hold data, as the file is now.
    pub(super) fn cut(mut self, sizes: PartSizes) -> std::io::Result<Self> {
        self.meta = Folder::file_meta(&self.file)?;
        self.ranges = ranges(
            &holes::parts(&self.file, self.meta.size)?,
            self.meta.size,
            sizes,
        );
        self.left = AtomicUsize::new(self.ranges.len());
        Ok(self)
    }

    /// A file to be cut.
    pub(super) fn new(
        entries: Vec<usize>,
        shown: PathBuf,
        (file, meta): (File, Meta),
        (folder, names): (String, Vec<u8>),
        number: usize,
    ) -> Self {
        Self {
            entries,
            shown,
            file,
            meta,
            folder,
            names,
            number,
            reading: 0,
            ranges: Vec::new(),
            left: AtomicUsize::new(0),
        }
    }

    /// The same file, to be read once more.
    pub(super) fn again(&self, sizes: PartSizes) -> std::io::Result<Self> {
        Self {
            entries: self.entries.clone(),
            shown: self.shown.clone(),
            file: self.file.try_clone()?,
            meta: self.meta,
            folder: self.folder.clone(),
            names: self.names.clone(),
            number: self.number,
            reading: self.reading + 1,
            ranges: Vec::new(),
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

    pub(super) fn still(&self) -> Result<Still, Error> {
        let now = Folder::file_meta(&self.file)
            .map_err(|error| Error::local("read", &self.shown, error))?;
        Ok(if self.meta.holds_still(&now) {
            Still::Yes
        } else if self.reading + 1 < READINGS {
            Still::Again
        } else {
            Still::Never
        })
    }

    fn temp(&self, stage: &str) -> String {
        format!("{stage}/file-{}-{}", self.number, self.reading)
    }

    /// Writes a part, with zeros for what is no longer there: a file that changed goes again as a whole.
    fn read_into(
        &self,
        range: Range<u64>,
        out: &mut impl Write,
        progress: &dyn Progress,
    ) -> Result<(), Stop> {
        let mut buffer = vec![0; PIECE];
        let mut at = range.start;
        while at < range.end {
            let room = PIECE.min(usize::try_from(range.end - at).unwrap_or(PIECE));
            let got = match Folder::read_at(&self.file, &mut buffer[..room], at) {
                Ok(0) => {
                    buffer[..room].fill(0);
                    room
                }
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Stop::Failed(Error::local("read", &self.shown, error)));
                }
            };
            out.write_all(&buffer[..got])?;
            progress.advance(got as u64);
            at += got as u64;
        }
        Ok(())
    }
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

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
    /// Sends one part until it is in the VM; answers its bytes on the wire.
    pub(super) async fn part(
        &self,
        route: &Route<'_>,
        gauge: &Gauge,
        big: &Arc<Big>,
        range: Range<u64>,
    ) -> Result<u64, Error> {
        let progress = Arc::new(Steady::new(self.progress.clone()));
        let (temp, path) = (big.temp(&route.stage), big.shown.display().to_string());
        let name = format!("{}-{}-{}", big.number, big.reading, range.start);
        let mut retries = Retries::default();
        let mut wire_bytes = 0;
        for attempt in 0.. {
            let make = || {
                progress.again();
                let (big, progress, range) = (big.clone(), progress.clone(), range.clone());
                move |out: &mut Output| big.read_into(range, out, &*progress)
            };
            let name = format!("{name}-{attempt}");
            let encoding = self.part_encoding(route.codec);
            let bytes = range.end - range.start;
            let lane = gauge.lane().await;
            let sent = send(self.store, &self.object_name(&name), &encoding, bytes, make).await?;
            drop(lane);
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
            self.store.spent(&sent.object.download);
            match put {
                Ok(()) => break,
                Err(error) => retries.again(error).await?,
            }
        }
        Ok(wire_bytes)
    }

    /// Puts a file together whose parts have all arrived, and in place.
    pub(super) async fn finish(&self, route: &Route<'_>, big: &Big) -> Result<(), Error> {
        let mut retries = Retries::default();
        let temp = big.temp(&route.stage);
        loop {
            let file = FinishFile {
                folder: &big.folder,
                temp: &temp,
                size: big.meta.size,
                parts: big.ranges.len() as u64,
                mode: big.meta.mode,
                modified: big.meta.modified,
                names: big.names.clone(),
            };
            match script::finish_file(self.guest, file).await {
                Ok(()) => return Ok(()),
                Err(error) => retries.again(error).await?,
            }
        }
    }

    /// Sends a file that goes alone, as often as it changes meanwhile, and puts it in place.
    pub(super) async fn in_parts(&self, route: &Route<'_>, big: Big) -> Result<Summary, Error> {
        let gauge = Gauge::new(self.settings.shards);
        let shown = big.shown.clone();
        let failed = |error| Error::local("read", &shown, error);
        let mut big = Arc::new(big.cut(gauge.parts(u64::MAX)).map_err(failed)?);
        let mut wire_bytes = 0;
        self.progress.advance(big.holes());
        loop {
            let mut waiting = big.ranges.iter().cloned();
            let mut flying = FuturesUnordered::new();
            loop {
                while flying.len() < gauge.at_work() {
                    let Some(range) = waiting.next() else { break };
                    let (bytes, big, gauge) = (range.end - range.start, &big, &gauge);
                    flying.push(async move {
                        let wire = self.part(route, gauge, big, range).await?;
                        gauge.landed(bytes);
                        Ok::<_, Error>(wire)
                    });
                }
                match flying.next().await {
                    Some(wire) => wire_bytes += wire?,
                    None => break,
                }
            }
            drop(flying);
            match big.still()? {
                Still::Yes => {
                    self.finish(route, &big).await?;
                    return Ok(one_file(big.meta.size, wire_bytes));
                }
                Still::Again => {
                    self.changed_again(&big);
                    big = Arc::new(big.again(gauge.parts(u64::MAX)).map_err(failed)?);
                }
                Still::Never => return Err(Error::Changed(vec![shown])),
            }
        }
    }

    /// What is said when a file changed meanwhile.
    pub(super) fn changed_again(&self, big: &Big) {
        self.progress.warn(format!(
            "{} changed while being read; it is sent again",
            big.shown.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
