//! A folder out of a VM.

use std::path::{Path, PathBuf};

use super::tar_report::TarReport;
use super::transport::{ArchiveKind, Transport};
use super::{Download, changed, check_space};
use crate::READINGS;
use crate::blocking;
use crate::disk::folder::Kind;
use crate::disk::install::{EarlierTries, TreeInstall};
use crate::disk::local_names::LocalNames;
use crate::disk::selection::Picked;
use crate::disk::unpack::{Limits, unpack};
use crate::engine::receive::{Input, receive};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Entry, Listed, SendTree, Share, Tools};
use crate::options::Incomplete;
use crate::summary::{SkipReason, Skipped, Summary};

/// What a tree may hold beyond what was announced, besides one part in a hundred.
const SLACK_BYTES: u64 = 1024 * 1024;
const SLACK_MEMBERS: u64 = 64;

impl<G: Guest, S: BlobStore> Download<'_, G, S> {
    pub(super) async fn tree(
        &self,
        path: &str,
        (tools, large): (&Tools, bool),
        target: PathBuf,
    ) -> Result<Summary, Error> {
        tools.need(&["tar", "find", "stat"])?;
        let codec = tools.codec(self.settings.compression)?;
        let only = self.chosen(path).await?;
        if large && self.can_use_parts(tools) {
            return self.parts(path, tools, codec, only, target).await;
        }
        for reading in 1..=READINGS {
            let share = if self.can_use_parts(tools) {
                Share::UpTo(self.settings.shards.first)
            } else {
                Share::All
            };
            let patience = if reading < READINGS {
                WhenChanged::Again
            } else {
                WhenChanged::Over
            };
            let take = async |transport: &Transport| {
                let only = only.as_deref();
                self.tree_once(path, tools, only, transport, &target, (share, patience))
                    .await
            };
            match self
                .take_object((tools, codec), ArchiveKind::Tree, take)
                .await?
            {
                Got::All(summary) => return Ok(summary),
                Got::Changed => {}
                Got::TooLarge => return self.parts(path, tools, codec, only, target).await,
            }
        }
        Err(changed(path))
    }

    /// The entries that are to come, as was decided beforehand or by what a filter lets through; `None` if that is all.
    pub(super) async fn chosen(&self, path: &str) -> Result<Option<Vec<Listed>>, Error> {
        if let Some(picked) = self.settings.only.entries() {
            let listed = |(path, picked): (&MemberPath, &Picked)| Listed {
                path: path.clone(),
                kind: match picked.kind {
                    Kind::Folder => Entry::Folder,
                    Kind::File | Kind::Link => Entry::File,
                    Kind::Special(_) => Entry::Special,
                },
            };
            return Ok(Some(picked.iter().map(listed).collect()));
        }
        let filter = &self.settings.filter;
        if filter.is_empty() {
            return Ok(None);
        }
        let mut listed = script::list(self.guest, path, self.settings.links).await?;
        listed.retain(|entry| !filter.leaves_out(&entry.path, entry.kind == Entry::Folder));
        Ok(Some(listed))
    }

    /// One reading of the folder; `None` if it changed meanwhile and may be read again.
    async fn tree_once(
        &self,
        path: &str,
        tools: &Tools,
        only: Option<&[Listed]>,
        transport: &Transport,
        target: &Path,
        (share, when_changed): (Share, WhenChanged),
    ) -> Result<Got, Error> {
        let announced = script::send_tree(
            self.guest,
            SendTree {
                path,
                codec: transport.codec,
                dialect: tools.dialect,
                links: self.settings.links,
                only,
                share,
                way: &transport.way,
            },
        )
        .await?;
        let Some(mut announced) = announced else {
            return Ok(Got::TooLarge);
        };
        if let Some(only) = only {
            // The folder itself is a member too.
            announced.before.0 = only.len() as u64 + 1;
            announced.after.0 = announced.before.0;
        }
        let said = TarReport::read(&announced, tools.dialect, self.settings.what_counts(), path)?;
        if !said.changed.is_empty() {
            if when_changed == WhenChanged::Again {
                let count = said.changed.len();
                self.progress.warn(format!(
                    "{count} files in the VM changed while being read; the folder is sent again"
                ));
                return Ok(Got::Changed);
            }
            if self.settings.incomplete == Incomplete::Stop || said.all_changed {
                return Err(Error::Changed(said.changed_paths(path)));
            }
        }
        let members = announced.before.0.max(announced.after.0);
        let bytes = announced.before.1.max(announced.after.1);
        // What the VM announces is the whole folder.
        let chosen = self.settings.only.entries();
        let needed = chosen.map_or(bytes, |_| bytes.min(self.settings.only.bytes()));
        self.progress.total(Some(needed), Some(members));
        let (target_buf, nonce) = (target.to_owned(), self.nonce.clone());
        let earlier = EarlierTries {
            stages: Vec::new(),
            ..self.earlier()
        };
        let prepare = move || TreeInstall::prepare(&earlier, &target_buf, &nonce);
        let install = blocking(prepare).await?;
        check_space(install.free_bytes(), needed, target)?;

        let limits = Limits {
            members: members
                .saturating_add(members / 100)
                .saturating_add(SLACK_MEMBERS),
            bytes: bytes
                .saturating_add(bytes / 100)
                .saturating_add(SLACK_BYTES),
        };
        let (progress, incomplete) = (self.progress.clone(), self.settings.incomplete);
        let unpack = move |input: Input| {
            let folder = install.open()?;
            let names = LocalNames::new(install.folds_case(), incomplete);
            let mut unpacked = unpack(input, folder, limits, &names, &*progress)?;
            unpacked.left_out = names.left_out();
            Ok((install, unpacked))
        };
        let ready = transport.ready(&announced.made, path)?;
        let ((install, mut unpacked), wire_bytes) =
            receive(self.guest, self.store, ready, unpack).await?;
        if said.complete && announced.still && unpacked.members != announced.before.0 {
            let reason = format!(
                "{} members arrived instead of {}",
                unpacked.members, announced.before.0
            );
            return Err(Error::integrity(path, reason));
        }
        let folders = std::mem::take(&mut unpacked.folders);
        let count = folders.iter().filter(|(path, ..)| !path.is_root()).count() as u64;
        let torn = said.torn.clone();
        let left_out = blocking(move || {
            let left_out = install.leave_out(&torn)?;
            install.place(&folders)?;
            Ok(left_out)
        });
        unpacked.files = unpacked.files.saturating_sub(left_out.await?);
        let changed = said.changed_paths(path);
        let mut skipped = said.skipped;
        skipped.append(&mut unpacked.left_out);
        skipped.extend(unpacked.special.into_iter().map(|path| Skipped {
            path,
            reason: SkipReason::Special,
        }));
        skipped.extend(changed.into_iter().map(|path| Skipped {
            path,
            reason: SkipReason::Changed,
        }));
        let (files, bytes) = (unpacked.files, unpacked.bytes);
        Ok(Got::All(Summary {
            files,
            folders: count,
            bytes,
            wire_bytes,
            skipped,
            ..Summary::default()
        }))
    }
}

/// What came of one reading.
enum Got {
    All(Summary),
    /// It changed meanwhile and may be read again.
    Changed,
    /// It is more than goes at once.
    TooLarge,
}

/// What to do about files that changed while being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenChanged {
    Again,
    Over,
}
