//! What goes into which shard of an upload.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::large_file::LargeFile;
use crate::disk::folder::Kind;
use crate::disk::tree::Tree;
use crate::engine::shards::is_large;
use crate::format::header::TarDialect;
use crate::format::member_path::MemberPath;

/// What an entry costs besides its content, in bytes.
const ENTRY_OVERHEAD: u64 = 1024;

/// One piece of the work.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Whole entries, as one archive.
    Batch(Batch),
    /// A file that is to go in ranges: to be opened first. The other entries are names of it.
    Open(Vec<usize>),
    /// So many bytes of it.
    Part(Arc<LargeFile>, Range<u64>),
}

/// Entries that go together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// In rising order.
    pub(super) entries: Vec<usize>,
    /// Folders above them that go elsewhere, outermost first.
    pub(super) above: Vec<MemberPath>,
    /// Folders that other shards put something into as well.
    pub(super) shared: Vec<MemberPath>,
}

/// Hands out the entries of a tree in shards of the size asked for.
#[derive(Debug)]
pub(super) struct Plan {
    tree: Arc<Tree>,
    dialect: TarDialect,
    next: usize,
    /// Entries that have gone already, or go with another.
    taken: Vec<bool>,
    /// Bytes of those that have not been handed out.
    left: u64,
    /// The other names of a file, by its first.
    names: HashMap<usize, Vec<usize>>,
    /// The folder each entry lies in, and for folders, where what they hold ends.
    parents: Vec<Option<u32>>,
    ends: Vec<u32>,
    /// Folders that hold something which goes at another time than its neighbours.
    mixed: Vec<bool>,
    waiting: VecDeque<Task>,
}

impl Plan {
    /// Plans all entries but those that are `there` already.
    pub(super) fn new(tree: Arc<Tree>, dialect: TarDialect, there: Vec<bool>) -> Self {
        let count = tree.entries.len();
        let (mut parents, mut ends) = (vec![None; count], vec![0; count]);
        let mut open: Vec<(usize, MemberPath)> = Vec::new();
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let mut first: HashMap<(u64, u64), usize> = HashMap::new();
        let mut names: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, entry) in tree.entries.iter().enumerate() {
            let place = tree.place(entry);
            while open.pop_if(|(_, folder)| !place.is_below(folder)).is_some() {}
            parents[index] = open.last().map(|(folder, _)| number(*folder));
            for (folder, _) in &open {
                ends[*folder] = number(index + 1);
            }
            ends[index] = number(index + 1);
            if entry.kind == Kind::Folder {
                open.push((index, place));
            }
            if let Some(identity) = &entry.one_of
                && !there[index]
            {
                let first = *first.entry(**identity).or_insert(index);
                if first != index {
                    names.entry(first).or_default().push(index);
                }
            }
        }
        let mut plan = Self {
            tree,
            dialect,
            next: 0,
            taken: there,
            left: 0,
            names,
            parents,
            ends,
            mixed: vec![false; count],
            waiting: VecDeque::new(),
        };
        plan.left = plan.to_go().map(|entry| plan.weight(entry)).sum();
        plan
    }

    fn to_go(&self) -> impl Iterator<Item = usize> {
        (self.next..self.taken.len()).filter(|&entry| !self.taken[entry])
    }

    /// Bytes that have not been handed out.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// All that is left fits into one shard of this size.
    pub(super) fn fits(&self, size: u64) -> bool {
        let mut left = size;
        self.to_go()
            .all(|entry| match left.checked_sub(self.weight(entry)) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            })
    }

    /// Brings in entries that were to go with others, and do not.
    pub(super) fn insert_entries(&mut self, mut entries: Vec<usize>) {
        entries.sort_unstable();
        let batch = self.batch(entries, 0..0);
        self.waiting.push_back(Task::Batch(batch));
    }

    /// Brings in the parts of a file.
    pub(super) fn insert_file(&mut self, large: &Arc<LargeFile>) {
        let part = |range| Task::Part(large.clone(), range);
        if large.ranges.is_empty() {
            self.waiting.push_back(part(0..0));
        }
        self.waiting.extend(large.ranges.iter().cloned().map(part));
    }

    /// The next piece of work, of about `size` bytes.
    pub(super) fn next(&mut self, size: u64) -> Option<Task> {
        if let Some(work) = self.waiting.pop_front() {
            return Some(work);
        }
        let from = self.next;
        let mut entries = Vec::new();
        let mut weight = 0;
        while self.next < self.taken.len() {
            let entry = self.next;
            if self.taken[entry] {
                self.next += 1;
                continue;
            }
            let data = self.data(entry);
            let large = is_large(data, size);
            if !large && weight > 0 && weight + ENTRY_OVERHEAD + data > size {
                break;
            }
            self.next += 1;
            self.taken[entry] = true;
            self.left = self.left.saturating_sub(ENTRY_OVERHEAD + data);
            let others: Vec<_> = self.names.remove(&entry).unwrap_or_default();
            for &other in &others {
                self.taken[other] = true;
                self.mix(other);
            }
            if large {
                self.mix(entry);
                let all = std::iter::once(entry).chain(others).collect();
                self.waiting.push_back(Task::Open(all));
            } else {
                weight += ENTRY_OVERHEAD * (1 + others.len() as u64) + data;
                entries.push(entry);
                entries.extend(others);
            }
        }
        if entries.is_empty() {
            return self.waiting.pop_front();
        }
        entries.sort_unstable();
        Some(Task::Batch(self.batch(entries, from..self.next)))
    }

    fn batch(&self, entries: Vec<usize>, range: Range<usize>) -> Batch {
        let mut made: HashSet<MemberPath> = HashSet::new();
        let mut batch = Batch::default();
        for &index in &entries {
            let entry = &self.tree.entries[index];
            let place = self.tree.place(entry);
            let mut missing: Vec<_> = std::iter::successors(place.parent(), MemberPath::parent)
                .take_while(|folder| !folder.is_root() && !made.contains(folder))
                .collect();
            missing.reverse();
            made.extend(missing.iter().cloned());
            batch.shared.extend(missing.iter().cloned());
            batch.above.extend(missing);
            if entry.kind == Kind::Folder {
                let whole = range.contains(&index)
                    && self.ends[index] as usize <= range.end
                    && !self.mixed[index];
                if !whole {
                    batch.shared.push(place.clone());
                }
                made.insert(place);
            }
        }
        batch.entries = entries;
        batch
    }

    /// Marks the folders above an entry.
    fn mix(&mut self, entry: usize) {
        let mut at = self.parents[entry];
        while let Some(folder) = at {
            let folder = folder as usize;
            self.mixed[folder] = true;
            at = self.parents[folder];
        }
    }

    fn weight(&self, entry: usize) -> u64 {
        ENTRY_OVERHEAD + self.data(entry)
    }

    /// GNU tar is told of holes, others get zeros.
    fn data(&self, entry: usize) -> u64 {
        let entry = &self.tree.entries[entry];
        match self.dialect {
            TarDialect::Gnu => entry.data,
            TarDialect::Plain => entry.size,
        }
    }
}
