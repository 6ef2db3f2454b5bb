//! What came of each entry that was packed.

use std::collections::HashMap;

use crate::format::mtime::Mtime;

/// What came of an entry of a tree; one that was packed again has its last outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Sent,
    /// Sent with content that is not one state of the file.
    Changed,
    Vanished,
    Special,
    Unreadable,
}

/// What the packing of some entries knows from one archive to the next.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    /// In rising order.
    entries: Vec<usize>,
    outcomes: Vec<Outcome>,
    /// Size and time of files as they were packed.
    stamps: Vec<(u64, Mtime)>,
    /// The entry that a hard link was sent as a name of.
    pub(super) links: HashMap<usize, usize>,
    /// Entries that stand in an earlier archive and are not there any more.
    pub(super) gone: Vec<usize>,
    pub(crate) bytes: u64,
}

impl Results {
    /// For entries in rising order.
    pub(crate) fn new(entries: Vec<usize>) -> Self {
        Self {
            outcomes: vec![Outcome::Waiting; entries.len()],
            stamps: vec![Default::default(); entries.len()],
            entries,
            links: HashMap::new(),
            gone: Vec::new(),
            bytes: 0,
        }
    }

    /// Each entry and what came of it.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (usize, Outcome)> {
        self.entries
            .iter()
            .copied()
            .zip(self.outcomes.iter().copied())
    }

    /// What was sent whole, with size and time of files.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (usize, u64, Mtime)> {
        let stamped = self.outcomes().zip(&self.stamps);
        stamped
            .filter(|((_, outcome), _)| *outcome == Outcome::Sent)
            .map(|((entry, _), (size, modified))| (entry, *size, *modified))
    }

    /// Entries to pack again: those that changed, and the hard links to them.
    pub(crate) fn to_repair(&self) -> Vec<usize> {
        let changed = |entry: usize| self.outcome(entry) == Outcome::Changed;
        let first = |entry| self.links.get(&entry).copied();
        self.entries
            .iter()
            .copied()
            .filter(|&entry| changed(entry) || first(entry).is_some_and(changed))
            .collect()
    }

    /// Entries that turned out unreadable after the scan.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = usize> {
        self.with(Outcome::Unreadable)
    }

    /// Entries that the target must have in the end.
    pub(crate) fn sent(&self) -> u64 {
        self.with(Outcome::Sent).count() as u64
    }

    /// Leaves out what changed meanwhile.
    pub(crate) fn give_up_on_changed(&mut self) -> Vec<usize> {
        let given_up = self.to_repair();
        for &entry in &given_up {
            self.set(entry, Outcome::Changed);
        }
        self.gone.extend(&given_up);
        given_up
    }

    /// Notes an outcome; returns the one before.
    pub(super) fn set(&mut self, entry: usize, outcome: Outcome) -> Outcome {
        self.entries
            .binary_search(&entry)
            .map_or(Outcome::Waiting, |at| {
                std::mem::replace(&mut self.outcomes[at], outcome)
            })
    }

    pub(super) fn stamp(&mut self, entry: usize, size: u64, modified: Mtime) {
        if let Ok(at) = self.entries.binary_search(&entry) {
            self.stamps[at] = (size, modified);
        }
    }

    fn outcome(&self, entry: usize) -> Outcome {
        self.entries
            .binary_search(&entry)
            .map_or(Outcome::Waiting, |at| self.outcomes[at])
    }

    fn with(&self, wanted: Outcome) -> impl Iterator<Item = usize> {
        self.outcomes()
            .filter(move |(_, outcome)| *outcome == wanted)
            .map(|(entry, _)| entry)
    }
}
