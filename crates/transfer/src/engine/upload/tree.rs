//! Folders, or several sources, into a VM: a portion at a time, which is one archive, and small ones after it for what changed meanwhile.

use std::sync::Arc;

use super::plan::Plan;
use super::{Upload, parent_of, stage};
use crate::blocking;
use crate::disk::folder;
use crate::disk::pack::{self, Extent, Outcome, Results, Shard};
use crate::disk::tree::{Position, Roots, Tree};
use crate::engine::send::{Encoding, Output, Sent, send};
use crate::error::Error;
use crate::format::codec::Codec;
use crate::format::header::TarDialect;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::retry::Retries;
use crate::guest::script::{self, Kind, Place, PutTree, Role};
use crate::options::Incomplete;
use crate::progress::{Progress, RetryProgress};
use crate::summary::{SkipReason, Skipped, Summary};
use crate::{READINGS, nonce};

/// An archive at the storage, and the members it says it holds.
pub(super) type Archive = Sent<u64>;

/// Some entries of a tree that go together.
#[derive(Clone, Debug)]
pub(super) struct Portion {
    /// No other portion of the copy has it.
    pub(super) name: String,
    /// In rising order.
    pub(super) entries: Vec<usize>,
    pub(super) extent: Extent,
    pub(super) encoding: Encoding,
}

impl<G: Guest, S: BlobStore> Upload<'_, G, S> {
    pub(super) async fn tree(
        &self,
        roots: Roots,
        position: Position,
        target: &str,
    ) -> Result<Summary, Error> {
        let chosen = self.settings.chosen();
        let scan = blocking(move || Tree::scan_roots(roots, position, chosen));
        let name = self.object_name("first");
        let (tree, place, ()) = tokio::join!(
            scan,
            script::probe(self.guest, target),
            self.store.presign_early(&name)
        );
        let tree = Arc::new(tree?);
        if !tree.unreadable.is_empty() && self.settings.incomplete == Incomplete::Stop {
            return Err(Error::Unreadable(tree.unreadable.clone()));
        }
        self.progress.total(Some(tree.bytes), Some(tree.files));
        let place = place?;
        if matches!(place.kind, Kind::File | Kind::Other) {
            return Err(Error::Conflict {
                path: place.path,
                reason: "not a folder".to_owned(),
            });
        }
        place.tools.need(&["tar", "find"])?;
        // GNU tar is told of holes, others get zeros.
        let needed = if place.tools.dialect == TarDialect::Gnu {
            tree.allocated
        } else {
            tree.bytes
        };
        self.check_space(&place, needed)?;

        let codec = place.tools.codec(self.settings.compression)?;
        let there = vec![false; tree.entries.len()];
        let plan = Plan::new(tree.clone(), place.tools.dialect, there);
        let one = plan.fits(self.settings.shards.first);
        drop(plan);
        if one {
            self.whole(tree, &place, codec).await
        } else {
            self.parts(tree, &place, codec).await
        }
    }

    /// Sends a tree that is one shard until it is in place.
    async fn whole(&self, tree: Arc<Tree>, place: &Place, codec: Codec) -> Result<Summary, Error> {
        let beside = if place.kind == Kind::Folder {
            &place.path
        } else {
            parent_of(&place.path)
        };
        let mut portion = Portion {
            name: String::new(),
            entries: (0..tree.entries.len()).collect(),
            extent: Extent::Whole,
            encoding: self.encoding(codec),
        };
        let mut retries = Retries::default();
        let mut wire_bytes = 0;
        for attempt in 0.. {
            portion.name = attempt.to_string();
            let (ledger, archives) = self.archives(&tree, place, &portion).await?;
            wire_bytes += archives
                .iter()
                .map(|archive| archive.wire_bytes)
                .sum::<u64>();
            let stage = stage(beside, &nonce());
            self.settings.cleanup.add(&stage);
            let put = self.unpack(&tree, &ledger, place, &stage, codec, archives);
            match self.settle(&stage, put.await).await {
                Ok(()) => {
                    return Ok(Summary {
                        wire_bytes,
                        bytes: ledger.bytes,
                        ..summarize(&tree, ledger.outcomes())
                    });
                }
                Err(error) => retries.again(error).await?,
            }
        }
        Err(Error::Worker("a copy was given up".to_owned()))
    }

    /// Sends a portion, then again what of it changed meanwhile, as often as makes sense.
    pub(super) async fn archives(
        &self,
        tree: &Arc<Tree>,
        place: &Place,
        portion: &Portion,
    ) -> Result<(Results, Vec<Archive>), Error> {
        let mut ledger = Results::new(portion.entries.clone());
        let mut archives = Vec::new();
        let mut entries = portion.entries.clone();
        let data = entries.iter().map(|&entry| tree.entries[entry].data).sum();
        let steady = Arc::new(RetryProgress::new(self.progress.clone()));
        for reading in 0..=READINGS as usize {
            let last = reading == READINGS as usize;
            if last {
                let paths = ledger
                    .give_up_on_changed()
                    .into_iter()
                    .map(|entry| tree.shown(&tree.entries[entry]))
                    .collect();
                if self.settings.incomplete == Incomplete::Stop {
                    return Err(Error::Changed(paths));
                }
                entries = Vec::new();
            }
            let make = || {
                let (tree, entries) = (tree.clone(), entries.clone());
                let (progress, extent): (Arc<dyn Progress>, _) = if reading == 0 {
                    steady.again();
                    (steady.clone(), portion.extent.clone())
                } else {
                    (self.progress.clone(), Extent::Repair)
                };
                let mut ledger = ledger.clone();
                let marker = format!("end-{}-{reading}", self.nonce);
                let dialect = place.tools.dialect;
                move |out: &mut Output| {
                    let shard = Shard {
                        tree: &tree,
                        entries,
                        extent,
                        marker,
                        dialect,
                    };
                    let members = pack::pack(&shard, &mut ledger, &*progress, out)?;
                    Ok((ledger, members))
                }
            };
            let plain = if reading == 0 { data } else { 0 };
            let name = self.object_name(format!("{}-{reading}", portion.name));
            let Sent {
                object,
                value,
                wire_bytes,
                sum,
            } = send(self.store, &name, &portion.encoding, plain, make).await?;
            ledger = value.0;
            archives.push(Sent {
                object,
                value: value.1,
                wire_bytes,
                sum,
            });
            let unreadable: Vec<_> = ledger
                .unreadable()
                .map(|entry| tree.shown(&tree.entries[entry]))
                .collect();
            if !unreadable.is_empty() && self.settings.incomplete == Incomplete::Stop {
                return Err(Error::Unreadable(unreadable));
            }
            entries = ledger.to_repair();
            if last || entries.is_empty() {
                break;
            }
            self.progress.warn(format!(
                "{} files changed while being read; they are sent again",
                entries.len()
            ));
        }
        Ok((ledger, archives))
    }

    async fn unpack(
        &self,
        tree: &Tree,
        ledger: &Results,
        place: &Place,
        stage: &str,
        codec: Codec,
        sent: Vec<Archive>,
    ) -> Result<(), Error> {
        let mut archives = Vec::new();
        for (number, sent) in sent.into_iter().enumerate() {
            archives.push((
                self.hand_over(place, stage, number, &sent.object.download)
                    .await?,
                sent.value,
                sent.sum,
            ));
        }
        let root = tree.root.filter(|_| place.kind == Kind::Missing);
        let put = PutTree {
            path: &place.path,
            stage,
            nonce: &self.nonce,
            members: Some(ledger.sent()),
            root: root.map(|meta| (meta.mode, meta.modified)),
            dialect: place.tools.dialect,
            codec,
            local_modes: self.settings.local_modes,
            role: Role::Whole,
            archives,
        };
        script::put_tree(self.guest, put).await
    }
}

/// Counts what came of a tree's entries.
pub(super) fn summarize(tree: &Tree, outcomes: impl Iterator<Item = (usize, Outcome)>) -> Summary {
    let mut summary = Summary {
        skipped: tree.skipped.clone(),
        ..Summary::default()
    };
    for (entry, outcome) in outcomes {
        let entry = &tree.entries[entry];
        let reason = match outcome {
            Outcome::Sent if entry.kind == folder::Kind::Folder => {
                summary.folders += 1;
                continue;
            }
            Outcome::Sent => {
                summary.files += 1;
                continue;
            }
            Outcome::Special => SkipReason::Special,
            Outcome::Unreadable => SkipReason::Unreadable,
            Outcome::Changed => SkipReason::Changed,
            Outcome::Vanished | Outcome::Waiting => SkipReason::Vanished,
        };
        summary.skipped.push(Skipped {
            path: tree.shown(entry),
            reason,
        });
    }
    let unreadable = tree.unreadable.iter().map(|path| Skipped {
        path: path.clone(),
        reason: SkipReason::Unreadable,
    });
    summary.skipped.extend(unreadable);
    summary
}
