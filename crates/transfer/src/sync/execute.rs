//! Carrying a plan out: the copy first, then what has to change in place, then the proof.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::apply::{self, Stage};
use super::change::changes;
use super::difference::Difference;
use super::local_side::LocalSide;
use super::plan::{Direction, Plan, SyncOptions};
use super::plan_download::DownloadPlan;
use super::plan_upload::UploadPlan;
use super::verify::{listed, verify};
use crate::disk::install;
use crate::disk::selection::Selection;
use crate::engine::request::{
    DownloadRequest, DownloadTarget, RemotePath, Settings, UploadRequest, UploadSource,
};
use crate::error::Error;
use crate::format::member_path::MemberPath;
use crate::guest::remote::{BlobStore, Guest};
use crate::guest::script::{self, Change};
use crate::progress::Progress;
use crate::resume::cleanup::{settle, sweep_all};
use crate::resume::journal::Noted;
use crate::summary::Summary;
use crate::{download, nonce, upload};

/// Does what a plan says.
///
/// # Errors
/// As an upload or download has them. Nothing is removed unless all was copied. [`Error::Integrity`] names files that are not equal afterwards.
pub async fn execute(
    guest: &impl Guest,
    store: &impl BlobStore,
    progress: Arc<dyn Progress>,
    plan: Plan,
    settings: Settings,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let Plan {
        choice,
        way,
        outlook,
        took,
    } = plan;
    let carrier = Executor {
        guest,
        store,
        progress,
        settings,
        choice,
    };
    let mut summary = Summary::default();
    let mut told = false;
    match way {
        Direction::UploadPlan(up) => {
            told |= up.work.everything;
            summary.add(carrier.up(*up).await?);
        }
        Direction::DownloadPlan(downs) => {
            for down in downs {
                told |= down.work.everything;
                summary.add(carrier.down(down).await?);
            }
        }
    }
    // A copy without a selection has told itself what it left out.
    if !told {
        summary.skipped.extend(outlook.skipped);
    }
    summary.seconds = (took + started.elapsed()).as_secs_f64();
    Ok(summary)
}

struct Executor<'a, G, S> {
    guest: &'a G,
    store: &'a S,
    progress: Arc<dyn Progress>,
    settings: Settings,
    choice: SyncOptions,
}

impl<G: Guest, S: BlobStore> Executor<'_, G, S> {
    async fn up(&self, up: UploadPlan) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        if up.work.sends() {
            summary.add(
                self.send(&up, up.target.clone(), up.work.selection())
                    .await?,
            );
        } else {
            // Whatever a killed copy left, the copy itself would have removed.
            sweep_all(self.guest, &self.settings.cleanup, &*self.progress).await?;
        }
        let root = &up.work.there.folder;
        let stage = crate::engine::upload::stage(root, &nonce());
        let from = format!("{stage}/new");
        let changes = up
            .work
            .rebased(changes(&up.work, self.choice.owners, &from));
        if !changes.is_empty() {
            let cleanup = &self.settings.cleanup;
            cleanup.add(&stage);
            let changed = self.change_there(&up, &stage, &changes).await;
            let settled = settle(self.guest, cleanup, &*self.progress, &stage, changed);
            summary.add(settled.await?);
        }
        self.count(&up.work, &mut summary);
        self.prove(&up.work).await?;
        Ok(summary)
    }

    async fn send(
        &self,
        up: &UploadPlan,
        target: RemotePath,
        only: Selection,
    ) -> Result<Summary, Error> {
        let request = UploadRequest {
            source: UploadSource::Paths(up.paths.clone()),
            target,
            settings: self.selecting(only),
        };
        upload(self.guest, self.store, self.progress.clone(), request).await
    }

    async fn change_there(
        &self,
        up: &UploadPlan,
        stage: &str,
        changes: &[(Change, Vec<MemberPath>)],
    ) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        if !up.work.found.swaps.is_empty() {
            script::prepare(self.guest, stage).await?;
            let target = RemotePath {
                path: format!("{stage}/new"),
                into: up.target.into,
            };
            summary = self.send(up, target, up.work.replacing()).await?;
        }
        script::apply(self.guest, &up.work.there.folder, stage, changes).await?;
        Ok(summary)
    }

    async fn down(&self, down: DownloadPlan) -> Result<Summary, Error> {
        let DownloadPlan {
            source,
            target,
            work,
        } = down;
        let mut summary = Summary::default();
        if work.sends() {
            summary.add(self.receive(&source, &target, work.selection()).await?);
        } else {
            let place = target.clone();
            let journal = self.settings.cleanup.journal();
            let others = journal.map(|journal| Noted::new(journal, &source.path, false).others());
            let others = others.unwrap_or_default();
            let swept = tokio::task::spawn_blocking(move || install::sweep(&place, &others));
            swept
                .await
                .map_err(|error| Error::Worker(error.to_string()))?;
            sweep_all(self.guest, &self.settings.cleanup, &*self.progress).await?;
        }
        let changes = work.rebased(changes(&work, self.choice.owners, ""));
        let work = if changes.is_empty() {
            work
        } else {
            let root = folder_of(&target, &work);
            let stage = if work.found.swaps.is_empty() {
                None
            } else {
                let stage = Stage::prepare(&root, &nonce())?;
                summary.add(
                    self.receive(&source, &stage.new_path(), work.replacing())
                        .await?,
                );
                Some(stage)
            };
            let changing = move || {
                apply::apply(&root, &work, &changes, stage.as_ref())?;
                Ok::<_, Error>(work)
            };
            tokio::task::spawn_blocking(changing)
                .await
                .map_err(|error| Error::Worker(error.to_string()))??
        };
        self.count(&work, &mut summary);
        self.prove(&work).await?;
        Ok(summary)
    }

    async fn receive(
        &self,
        source: &RemotePath,
        target: &Path,
        only: Selection,
    ) -> Result<Summary, Error> {
        let request = DownloadRequest {
            sources: vec![source.clone()],
            target: DownloadTarget::Exact(target.to_owned()),
            settings: self.selecting(only),
        };
        download(self.guest, self.store, self.progress.clone(), request).await
    }

    fn selecting(&self, only: Selection) -> Settings {
        Settings {
            only,
            ..self.settings.clone()
        }
    }

    async fn prove(&self, work: &Difference) -> Result<(), Error> {
        if !self.choice.verify {
            return Ok(());
        }
        let proved = verify(self.guest, work).await;
        if let (Err(_), Some(journal)) = (&proved, self.settings.cleanup.journal()) {
            journal.distrust();
        }
        proved
    }

    fn count(&self, work: &Difference, summary: &mut Summary) {
        summary.unchanged += work.found.unchanged;
        summary.adjusted += work.found.adjust.len() as u64;
        summary.deleted += work.removed().len() as u64;
        let kept = work.kept();
        if !kept.is_empty() {
            let names = kept
                .iter()
                .map(|skipped| skipped.path.display().to_string());
            self.progress
                .warn(format!("left as they are: {}", listed(names)));
        }
    }
}

/// The folder that changes are made below.
fn folder_of(target: &Path, work: &Difference) -> PathBuf {
    match (&work.here, target.parent()) {
        (LocalSide::File(_), Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
        (LocalSide::File(_), _) => PathBuf::from("."),
        _ => target.to_owned(),
    }
}
