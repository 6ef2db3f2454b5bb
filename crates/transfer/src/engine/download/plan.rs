//! What goes into which shard of a download.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::large_file::LargeFile;
use super::resumed::Resumed;
use crate::disk::folder::Kind;
use crate::engine::shards::{PartSizes, gaps, is_large};
use crate::format::member_path::MemberPath;
use crate::guest::script::{BLOCK, ListedSize};

/// What an entry costs besides its content, in bytes.
const ENTRY_OVERHEAD: u64 = 1024;
/// Bytes of names that go with one command.
const MOST_NAME_BYTES: usize = 512 * 1024;
/// Parts of one file.
const MOST_PARTS: u64 = 64 * 1024;

/// One piece of the work.
#[derive(Debug)]
pub(super) enum Task {
    /// Whole files, as one archive.
    Batch(Vec<usize>),
    /// So many bytes of a file.
    Part(Arc<LargeFile>, Range<u64>),
}

/// Hands out the files of a survey in shards of the size asked for; folders and links come after them.
#[derive(Debug)]
pub(super) struct Plan {
    entries: Arc<Vec<ListedSize>>,
    next: usize,
    taken: Vec<bool>,
    /// Bytes of those that have not been handed out.
    left: u64,
    /// The other names of a file, by its first.
    names: HashMap<usize, Vec<usize>>,
    /// Large files of which an earlier try brought something.
    begun: HashMap<usize, Resumed>,
    waiting: VecDeque<Task>,
}

impl Plan {
    /// Plans all files but those that are `there` already.
    pub(super) fn new(
        entries: Arc<Vec<ListedSize>>,
        there: &[bool],
        begun: HashMap<usize, Resumed>,
    ) -> Self {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut names: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(identity) = entry.one_of.as_deref() {
                let first = *first.entry(identity).or_insert(index);
                if first != index {
                    names.entry(first).or_default().push(index);
                }
            }
        }
        let taken = entries.iter().zip(there);
        let taken = taken.map(|(entry, there)| *there || entry.kind != Kind::File);
        let taken: Vec<_> = taken.collect();
        let to_go = entries.iter().zip(&taken).filter(|(_, taken)| !**taken);
        Self {
            next: 0,
            left: to_go.map(|(entry, _)| ENTRY_OVERHEAD + entry.data).sum(),
            taken,
            names,
            begun,
            waiting: VecDeque::new(),
            entries,
        }
    }

    /// Bytes that have not been handed out.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Brings in the parts of a file.
    pub(super) fn insert_file(&mut self, large: &Arc<LargeFile>, sizes: PartSizes) {
        let parts = ranges(large.there(), large.size, sizes);
        large.expect(parts.len());
        self.waiting.extend(
            parts
                .into_iter()
                .map(|range| Task::Part(large.clone(), range)),
        );
    }

    /// The next piece of work, of about the first of these sizes.
    pub(super) fn next(&mut self, sizes: PartSizes) -> Option<Task> {
        let size = sizes.first;
        if let Some(work) = self.waiting.pop_front() {
            return Some(work);
        }
        let mut batch = Vec::new();
        let (mut weight, mut names) = (0, 0);
        while self.next < self.taken.len() {
            let index = self.next;
            if self.taken[index] {
                self.next += 1;
                continue;
            }
            let entry = &self.entries[index];
            // A command line holds text only.
            let text = std::str::from_utf8(entry.path.as_bytes()).is_ok();
            let large = is_large(entry.data, size) || self.begun.contains_key(&index);
            let large = large && text;
            let full = weight + ENTRY_OVERHEAD + entry.data > size || names > MOST_NAME_BYTES;
            if !large && weight > 0 && full {
                break;
            }
            self.next += 1;
            self.taken[index] = true;
            self.left = self.left.saturating_sub(ENTRY_OVERHEAD + entry.data);
            let others = self.names.remove(&index).unwrap_or_default();
            for &other in &others {
                self.taken[other] = true;
            }
            if large {
                let place = |&other: &usize| self.entries[other].path.clone();
                let places: Vec<MemberPath> =
                    std::iter::once(&index).chain(&others).map(place).collect();
                let file = LargeFile::new(index, places, entry.size);
                let file = file.after(self.begun.remove(&index));
                self.insert_file(&Arc::new(file), sizes);
                continue;
            }
            weight += ENTRY_OVERHEAD * (1 + others.len() as u64) + entry.data;
            for each in std::iter::once(index).chain(others) {
                names += self.entries[each].path.as_bytes().len() + 4;
                batch.push(each);
            }
        }
        if batch.is_empty() {
            return self.waiting.pop_front();
        }
        Some(Task::Batch(batch))
    }
}

/// Folders and links, a command's worth at a time.
pub(super) fn rest(entries: &[ListedSize]) -> Vec<Vec<usize>> {
    let mut batches = vec![Vec::new()];
    let mut names = 0;
    for (index, entry) in entries.iter().enumerate() {
        if !matches!(entry.kind, Kind::Folder | Kind::Link) {
            continue;
        }
        names += entry.path.as_bytes().len() + 4;
        if names > MOST_NAME_BYTES {
            names = 0;
            batches.push(Vec::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.push(index);
        }
    }
    batches
}

/// What is not there of a file, in parts that begin at whole blocks: one for an empty file, which tells how it is now.
pub(super) fn ranges(there: &[Range<u64>], size: u64, sizes: PartSizes) -> Vec<Range<u64>> {
    // However large a VM says that a file is.
    let least = (size / MOST_PARTS).next_multiple_of(BLOCK);
    let mut ranges = Vec::new();
    if size == 0 {
        ranges.push(0..0);
    }
    for gap in gaps(there, size) {
        let mut at = gap.start;
        while at < gap.end {
            let part = sizes.of(ranges.len()).max(least);
            let end = at.saturating_add(part).min(gap.end);
            ranges.push(at..end);
            at = end;
        }
    }
    ranges
}
