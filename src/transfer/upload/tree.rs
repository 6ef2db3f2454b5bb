//! Folders, or several sources, into a VM: one archive, and small ones after it for what did not hold still.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Job, blocking, parent_of};
use crate::transfer::READINGS;
use crate::transfer::error::Error;
use crate::transfer::header::Flavor;
use crate::transfer::pack::{self, Ledger, Outcome, Shard};
use crate::transfer::remote::{BlobStore, Guest};
use crate::transfer::request::Incomplete;
use crate::transfer::script::{self, Kind, Place, PutTree};
use crate::transfer::send::{Output, Sent, send};
use crate::transfer::summary::{SkipReason, Skipped, Summary};
use crate::transfer::tree::{Chosen, Position, Tree};

/// An archive at the storage, and the members it says it holds.
type Archive = Sent<u64>;

impl<G: Guest, S: BlobStore> Job<'_, G, S> {
    pub(super) async fn tree(
        &self,
        paths: Vec<PathBuf>,
        position: Position,
        target: &str,
    ) -> Result<Summary, Error> {
        let chosen = Chosen::by(self.settings);
        let tree = Arc::new(blocking(move || Tree::scan(&paths, position, chosen)).await?);
        if !tree.unreadable.is_empty() && self.settings.incomplete == Incomplete::Stop {
            return Err(Error::Unreadable(tree.unreadable.clone()));
        }
        self.progress.total(Some(tree.bytes), Some(tree.files));
        let place = script::look(self.guest, target).await?;
        if matches!(place.kind, Kind::File | Kind::Other) {
            return Err(Error::Conflict {
                path: place.path,
                reason: "it is not a folder".to_owned(),
            });
        }
        place.tools.need(&["tar", "find"])?;
        // GNU tar is told of holes, others get zeros.
        let needed = if place.tools.flavor == Flavor::Gnu {
            tree.allocated
        } else {
            tree.bytes
        };
        self.check_space(&place, needed)?;

        let (ledger, archives) = self.archives(&tree, &place).await?;
        let stage = self.stage(if place.kind == Kind::Folder {
            &place.path
        } else {
            parent_of(&place.path)
        });
        self.settings.leftovers.add(&stage);
        let wire_bytes = archives.iter().map(|archive| archive.wire_bytes).sum();
        self.settle(
            &stage,
            self.unpack(&tree, &ledger, &place, &stage, archives).await,
        )
        .await?;

        let mut summary = Summary {
            wire_bytes,
            bytes: ledger.bytes,
            skipped: tree.skipped.clone(),
            ..Summary::default()
        };
        for (entry, outcome) in tree.entries.iter().zip(&ledger.outcomes) {
            let reason = match outcome {
                Outcome::Sent if entry.kind == crate::transfer::folder::Kind::Folder => {
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
        summary
            .skipped
            .extend(tree.unreadable.iter().map(|path| Skipped {
                path: path.clone(),
                reason: SkipReason::Unreadable,
            }));
        Ok(summary)
    }

    /// Sends everything, then again what changed meanwhile, as often as makes sense.
    async fn archives(
        &self,
        tree: &Arc<Tree>,
        place: &Place,
    ) -> Result<(Ledger, Vec<Archive>), Error> {
        let encoding = self.encoding(place.tools.codec(self.settings.compression)?);
        let mut ledger = Ledger::new(tree);
        let mut archives = Vec::new();
        let mut entries: Vec<_> = (0..tree.entries.len()).collect();
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
                let (tree, progress, entries) =
                    (tree.clone(), self.progress.clone(), entries.clone());
                let mut ledger = ledger.clone();
                let marker = format!("end-{}-{reading}", self.nonce);
                let flavor = place.tools.flavor;
                move |out: &mut Output| {
                    let shard = Shard {
                        tree: &tree,
                        entries,
                        with_folders: reading == 0,
                        marker,
                        flavor,
                    };
                    let members = pack::pack(&shard, &mut ledger, &*progress, out)?;
                    Ok((ledger, members))
                }
            };
            let plain = if reading == 0 { tree.allocated } else { 0 };
            let Sent {
                object,
                value,
                wire_bytes,
                sum,
            } = send(
                self.store,
                &self.object_name(reading),
                &encoding,
                plain,
                make,
            )
            .await?;
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
        ledger: &Ledger,
        place: &Place,
        stage: &str,
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
        let put = PutTree {
            path: &place.path,
            stage,
            nonce: &self.nonce,
            members: Some(ledger.sent()),
            root: tree.root.map(|meta| (meta.mode, meta.modified)),
            flavor: place.tools.flavor,
            codec: place.tools.codec(self.settings.compression)?,
            archives,
        };
        script::put_tree(self.guest, put).await
    }
}
