//! `cp --watch`: once both ends are the same, on with what changes here.

mod events;
mod recovery;
mod source;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::events::Watcher;
use self::recovery::{Next, Recovery};
use self::source::{Clock, Identity};
use super::interrupts::Leftovers;
use super::plan::Plan;
use super::progress::CopyProgress;
use super::{failure, sync};
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::Format;
use crate::output::control::visible;
use fastvm_transfer::sync::{SyncOptions, execute, plan_upload_of};
use fastvm_transfer::{
    self as transfer, Journal, RemotePath, Scope, Settings, SkipReason, Summary, UploadSource,
    clean_up,
};

/// How often the source itself and the clock are looked at.
const TICK: Duration = Duration::from_secs(1);
/// The part of a second, or the seconds, that a disk or a VM may round times to, and then some.
const TIME_GRAIN: Duration = Duration::from_secs(5);

/// A source that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    source: PathBuf,
    target: RemotePath,
    watcher: Arc<Watcher>,
    identity: Identity,
    clock: Clock,
    /// When both ends were last looked at.
    looked: SystemTime,
    /// What could not be read, below the source.
    unreadable: BTreeSet<PathBuf>,
}

/// What all batches have in common.
pub(super) struct Batches<'a> {
    pub(super) vm: &'a Named,
    pub(super) choice: SyncOptions,
    pub(super) settings: Settings,
    pub(super) progress: Arc<CopyProgress>,
    pub(super) journal: Option<Arc<Journal>>,
}

/// What may have changed below the source; `None` for everything.
type Changed = Option<BTreeSet<PathBuf>>;

impl Watch {
    /// Refuses what cannot be watched, and gets ready to watch the rest.
    pub(super) fn prepare(context: &Context, plan: &Plan) -> Result<Self, Error> {
        let (paths, target) = match plan {
            Plan::Up {
                sources: UploadSource::Paths(paths),
                target,
                ..
            } => (paths, target),
            Plan::Up { .. } => {
                return Err(Error::usage("--watch needs a file or folder, not a stream"));
            }
            Plan::Down { .. } | Plan::Between { .. } => {
                return Err(Error::usage(
                    "--watch follows changes on this machine: the source cannot be in a VM",
                ));
            }
        };
        let [source] = paths.as_slice() else {
            return Err(
                Error::usage("--watch takes one source").hint("watch a folder that holds them all")
            );
        };
        if context.options.dry_run {
            let message = "--dry-run has no effect with --watch";
            return Err(Error::usage(message).hint("see what --sync would do"));
        }
        if matches!(context.settings.format, Some(Format::Json | Format::Yaml)) {
            return Err(Error::usage("--watch prints more than one document").hint("use -o jsonl"));
        }
        let identity = Identity::of(source).map_err(|error| source::unreachable(source, &error))?;
        let own = [context.paths.transfers.clone(), context.paths.local.clone()];
        Ok(Self {
            watcher: Arc::new(Watcher::new(source, &own)?),
            source: source.clone(),
            target: target.clone(),
            identity,
            clock: Clock::default(),
            looked: SystemTime::now(),
            unreadable: BTreeSet::new(),
        })
    }

    /// The first look at both ends.
    pub(super) fn everything(&self) -> Scope {
        Scope {
            observer: Some(self.watcher.clone()),
            ..Scope::default()
        }
    }

    /// Fails where not all can be watched.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.watcher.check()
    }

    /// Goes on from a first copy until it cannot, and returns why.
    pub(super) async fn follow(
        mut self,
        context: &mut Context,
        batches: Batches<'_>,
        to: &Leftovers,
        first: &Summary,
    ) -> Error {
        let source = self.source.display().to_string();
        let text = format!("watching {}; Ctrl-C ends it", visible(&source));
        context.ui.status(&text);
        self.note_skipped(first);
        let mut recovery = Recovery::default();
        loop {
            let done = self.next_batch(context, &batches, to).await;
            let next = match done {
                Ok(None) => continue,
                Ok(Some(summary)) => {
                    recovery.succeeded(context, batches.vm);
                    if let Err(error) = self.tell(context, &summary) {
                        return error;
                    }
                    Next::go_on(&summary)
                }
                Err(Failed::Copy(error)) => {
                    recovery.failed(context, error, batches.vm, batches.choice)
                }
                Err(Failed::Watch(error)) => return error,
            };
            match next {
                Next::Wait => {}
                Next::CompareAfter(pause) => {
                    self.watcher.lose_track();
                    tokio::time::sleep(pause).await;
                }
                Next::End(error) => return error,
            }
        }
    }

    /// Waits for a change and copies it. `None` if it was none.
    async fn next_batch(
        &mut self,
        context: &mut Context,
        batches: &Batches<'_>,
        to: &Leftovers,
    ) -> Result<Option<Summary>, Failed> {
        let changed = self.next_change(context, batches).await?;
        if changed.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(None);
        }
        let Leftovers { vm, cleanup, .. } = to;
        // What a failed batch could not remove.
        if !cleanup.paths().is_empty() {
            clean_up(vm, vm, cleanup).await?;
        }
        if changed.is_none() {
            self.watcher.restart()?;
        }
        let looking = SystemTime::now();
        let scope = Scope {
            changed,
            doubted_since: self.looked.checked_sub(TIME_GRAIN),
            observer: Some(self.watcher.clone()),
        };
        let paths = vec![self.source.clone()];
        let (target, choice) = (self.target.clone(), batches.choice);
        let plan = plan_upload_of(vm, paths, target, choice, &batches.settings, &scope).await?;
        self.watcher.check()?;
        for warning in &plan.summary().warnings {
            context.ui.warn(warning);
        }
        // What was compared may be another folder.
        if Identity::of(&self.source).ok().as_ref() != Some(&self.identity) {
            self.watcher.lose_track();
            return Ok(None);
        }
        batches.progress.open(&context.ui);
        let (progress, settings) = (batches.progress.clone(), batches.settings.clone());
        let done = execute(vm, vm, progress, plan, settings).await;
        batches.progress.close();
        let mut summary = done?;
        // What comes and goes is the way of a folder at work.
        (summary.skipped).retain(|skipped| skipped.reason != SkipReason::Vanished);
        if let Some(journal) = &batches.journal {
            journal.end();
        }
        self.looked = looking;
        if scope.changed.is_none() {
            self.unreadable.clear();
        }
        self.note_skipped(&summary);
        Ok(Some(summary))
    }

    /// Waits until something has changed and is still.
    async fn next_change(
        &mut self,
        context: &Context,
        batches: &Batches<'_>,
    ) -> Result<Changed, Error> {
        let mut is_away = false;
        loop {
            let waited = tokio::time::timeout(TICK, self.watcher.settled()).await;
            if self.clock.has_jumped() {
                self.watcher.lose_track();
            }
            let now = match Identity::of(&self.source) {
                Ok(now) => now,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        let error = source::unreachable(&self.source, &error);
                        context.ui.warn(&format!("{error}; still watching"));
                    }
                    tokio::time::sleep(TICK).await;
                    continue;
                }
            };
            if now != self.identity {
                if batches.choice.delete && self.identity.is_folder() {
                    return Err(replaced(&self.source));
                }
                self.identity = now;
                is_away = true;
            }
            if std::mem::take(&mut is_away) {
                self.watcher.lose_track();
            } else if waited.is_ok() {
                let changed = self.watcher.take()?;
                return Ok(changed.and_then(|changed| self.of_interest(changed, &batches.settings)));
            }
        }
    }

    /// The paths that are not left out; everything where one of them is about something that could not be read.
    fn of_interest(&self, changed: BTreeSet<PathBuf>, settings: &Settings) -> Changed {
        let is_shown =
            |path: &PathBuf| !(settings.filter).hides(path, self.source.join(path).is_dir());
        let changed: BTreeSet<_> = changed.into_iter().filter(is_shown).collect();
        let is_related = |path: &PathBuf| {
            let mut unreadable = self.unreadable.iter();
            unreadable.any(|other| other.starts_with(path) || path.starts_with(other))
        };
        (!changed.iter().any(is_related)).then_some(changed)
    }

    fn note_skipped(&mut self, summary: &Summary) {
        for skipped in &summary.skipped {
            if skipped.reason == SkipReason::Unreadable {
                let path = skipped.path.strip_prefix(&self.source);
                let path = path.map(ToOwned::to_owned).unwrap_or_default();
                self.unreadable.insert(path);
            }
        }
    }

    fn tell(&self, context: &mut Context, summary: &Summary) -> Result<(), Error> {
        let has_done = summary.files + summary.folders + summary.adjusted + summary.deleted > 0;
        if has_done {
            super::report(context, summary, false)?;
        }
        if let Err(left_out) = failure::of_skipped(summary) {
            context.ui.warn(left_out.message());
        }
        Ok(())
    }
}

/// Why a batch came to nothing.
enum Failed {
    Copy(transfer::Error),
    /// The source can't be watched any more.
    Watch(Error),
}

impl From<transfer::Error> for Failed {
    fn from(error: transfer::Error) -> Self {
        Self::Copy(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Watch(error)
    }
}

fn replaced(source: &std::path::Path) -> Error {
    let message = format!(
        "{}: another folder stands here now, so nothing is deleted in the VM",
        source.display()
    );
    Error::new(Kind::Conflict, message)
        .hint("run the same command again if this is the one to copy")
}
