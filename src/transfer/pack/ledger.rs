//! What came of each entry of a tree.

use std::collections::HashMap;

use crate::transfer::tree::Tree;

/// What came of each entry of a tree; an entry that was packed again has its last outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) enum Outcome {
    Waiting,
    Sent,
    /// Sent with content that is not one state of the file.
    Changed,
    Vanished,
    Special,
    Unreadable,
}

/// What a tree's packing knows from one shard to the next.
#[derive(Clone, Debug)]
pub(in crate::transfer) struct Ledger {
    pub(in crate::transfer) outcomes: Vec<Outcome>,
    /// The entry that a hard link was sent as a name of.
    pub(super) links: HashMap<usize, usize>,
    /// Entries that stand in an earlier archive and are not there any more.
    pub(super) gone: Vec<usize>,
    pub(in crate::transfer) bytes: u64,
}

impl Ledger {
    pub(in crate::transfer) fn new(tree: &Tree) -> Self {
        Self {
            outcomes: vec![Outcome::Waiting; tree.entries.len()],
            links: HashMap::new(),
            gone: Vec::new(),
            bytes: 0,
        }
    }

    /// Entries to pack again: those that changed, and the hard links to them.
    pub(in crate::transfer) fn to_repair(&self) -> Vec<usize> {
        let changed = |entry: usize| self.outcomes[entry] == Outcome::Changed;
        (0..self.outcomes.len())
            .filter(|&entry| {
                changed(entry) || self.links.get(&entry).is_some_and(|&first| changed(first))
            })
            .collect()
    }

    /// Entries that turned out unreadable after the scan.
    pub(in crate::transfer) fn unreadable(&self) -> impl Iterator<Item = usize> {
        (0..self.outcomes.len()).filter(|&entry| self.outcomes[entry] == Outcome::Unreadable)
    }

    /// Entries that the target must have in the end.
    pub(in crate::transfer) fn sent(&self) -> u64 {
        self.outcomes
            .iter()
            .filter(|&&outcome| outcome == Outcome::Sent)
            .count() as u64
    }

    /// Leaves out what did not hold still.
    pub(in crate::transfer) fn give_up_on_changed(&mut self) -> Vec<usize> {
        let given_up = self.to_repair();
        for &entry in &given_up {
            self.outcomes[entry] = Outcome::Changed;
        }
        self.gone.extend(&given_up);
        given_up
    }
}
