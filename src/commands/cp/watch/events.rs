//! What happens in the folders that are watched.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::{Error, Kind};
use fastvm_transfer::Observer;

/// How long nothing may happen before a batch begins, so that what a program does in one go is one batch.
const QUIET: Duration = Duration::from_millis(60);
/// How long a batch waits at most while things go on happening.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// Paths that are kept in mind. Where more change, all is compared.
const MOST_PATHS: usize = 10_000;

/// Watches the folders that a walk comes through, and keeps in mind what happens in them.
#[derive(Debug)]
pub(super) struct Watcher {
    source: PathBuf,
    system: Mutex<RecommendedWatcher>,
    pending: Arc<Pending>,
}

/// What happened since it was last asked for.
#[derive(Debug)]
struct Pending {
    /// Folders in which we write ourselves.
    own: Vec<PathBuf>,
    state: Mutex<State>,
    happened: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The source, without links.
    root: PathBuf,
    folders: HashSet<PathBuf>,
    /// Files that matter in folders that do not.
    files: HashSet<PathBuf>,
    /// Below the source.
    changed: BTreeSet<PathBuf>,
    /// Nobody knows what changed.
    everything: bool,
    /// When the first and the last of it happened.
    since: Option<(Instant, Instant)>,
    /// Why no more can be watched.
    failure: Option<Error>,
}

impl Watcher {
    /// Watches nothing yet. What happens in folders of our `own` does not count.
    pub(super) fn new(source: &Path, own: &[PathBuf]) -> Result<Self, Error> {
        let pending = Arc::new(Pending {
            own: own.iter().map(|path| without_links(path)).collect(),
            state: Mutex::default(),
            happened: Notify::new(),
        });
        let watcher = Self {
            source: source.to_owned(),
            system: Mutex::new(system_watcher(&pending)?),
            pending,
        };
        watcher.pending.state().root = fs::canonicalize(source).unwrap_or_default();
        Ok(watcher)
    }

    /// Begins anew: watches nothing, and has heard of nothing. A walk through everything is to follow.
    pub(super) fn restart(&self) -> Result<(), Error> {
        let system = system_watcher(&self.pending)?;
        *self.system() = system;
        *self.pending.state() = State {
            root: fs::canonicalize(&self.source).unwrap_or_default(),
            ..State::default()
        };
        Ok(())
    }

    /// Waits until something has happened and is over.
    pub(super) async fn settled(&self) {
        loop {
            let since = self.pending.state().since;
            match since.map(|(first, last)| (last + QUIET).min(first + LONGEST_WAIT)) {
                None => self.pending.happened.notified().await,
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::time::sleep_until(due).await,
            }
        }
    }

    /// Takes what has changed below the source; `None` if that is not known. Fails where no more can be watched.
    pub(super) fn take(&self) -> Result<Option<BTreeSet<PathBuf>>, Error> {
        let mut state = self.pending.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        state.since = None;
        let changed = std::mem::take(&mut state.changed);
        Ok((!std::mem::take(&mut state.everything)).then_some(changed))
    }

    /// Fails where no more can be watched.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.pending.state().failure.clone().map_or(Ok(()), Err)
    }

    /// Nobody knows any more what changed.
    pub(super) fn lose_track(&self) {
        self.pending.note(|state| state.everything = true);
    }

    fn watch(&self, folder: &Path, mode: RecursiveMode) {
        if let Err(error) = self.system().watch(folder, mode) {
            let is_gone = match &error.kind {
                notify::ErrorKind::PathNotFound => true,
                notify::ErrorKind::Io(error) => {
                    let gone = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
                    gone.contains(&error.kind())
                }
                _ => false,
            };
            // That is for the walk to say.
            if !is_gone {
                self.pending.fail(&error);
            }
        }
    }

    fn system(&self) -> MutexGuard<'_, RecommendedWatcher> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each folder is watched before it is listed, so that nothing happens unseen in between. macOS and Windows watch what is below as well.
impl Observer for Watcher {
    fn folder(&self, path: &Path) {
        let Ok(path) = fs::canonicalize(path) else {
            return;
        };
        let mode = match cfg!(any(target_os = "macos", windows)) {
            true if self.pending.state().is_in_folder(&path) => return,
            true => RecursiveMode::Recursive,
            false => RecursiveMode::NonRecursive,
        };
        self.pending.state().folders.insert(path.clone());
        self.watch(&path, mode);
    }

    fn file(&self, path: &Path) {
        if let Ok(path) = fs::canonicalize(path)
            && let Some(folder) = path.parent()
        {
            self.pending.state().files.insert(path.clone());
            self.watch(folder, RecursiveMode::NonRecursive);
        }
    }
}

impl Pending {
    fn hear(&self, event: notify::Result<Event>) {
        match event {
            Err(error) if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) => {
                self.fail(&error);
            }
            Err(_) => self.note(|state| state.everything = true),
            Ok(event) if event.need_rescan() => self.note(|state| state.everything = true),
            Ok(event) => match event.kind {
                // What is written through memory shows only here.
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.changed(&event),
                EventKind::Access(_) => {}
                _ => self.changed(&event),
            },
        }
    }

    fn changed(&self, event: &Event) {
        for path in &event.paths {
            let is_own = self.own.iter().any(|own| path.starts_with(own));
            let mut state = self.state();
            if is_own || !(state.files.contains(path) || state.is_in_folder(path)) {
                continue;
            }
            match path.strip_prefix(&state.root).map(Path::to_owned) {
                Ok(path) if !state.everything && state.changed.len() < MOST_PATHS => {
                    state.changed.insert(path);
                }
                _ => state.everything = true,
            }
            drop(state);
            self.note(|_| ());
        }
    }

    fn note(&self, happened: impl FnOnce(&mut State)) {
        let mut state = self.state();
        happened(&mut state);
        if state.everything {
            state.changed.clear();
        }
        let now = Instant::now();
        let first = state.since.map_or(now, |(first, _)| first);
        state.since = Some((first, now));
        drop(state);
        self.happened.notify_one();
    }

    fn fail(&self, error: &notify::Error) {
        self.note(|state| state.failure = Some(explain(error)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_in_folder(&self, path: &Path) -> bool {
        path.ancestors().any(|folder| self.folders.contains(folder))
    }
}

/// The path that leads there without links, also where its end is yet to be made.
fn without_links(path: &Path) -> PathBuf {
    let full = path.ancestors().find_map(|above| {
        let below = path.strip_prefix(above).ok()?;
        Some(fs::canonicalize(above).ok()?.join(below))
    });
    full.unwrap_or_else(|| path.to_owned())
}

fn system_watcher(pending: &Arc<Pending>) -> Result<RecommendedWatcher, Error> {
    let pending = pending.clone();
    notify::recommended_watcher(move |event| pending.hear(event)).map_err(|error| explain(&error))
}

/// Says why something cannot be watched, and which limit to raise.
fn explain(error: &notify::Error) -> Error {
    const TOO_MANY_FILES: i32 = 24;
    let limit = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => Some(("max_user_watches", 524_288)),
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY_FILES) => {
            Some(("max_user_instances", 1024))
        }
        _ => None,
    };
    let path = error
        .paths
        .first()
        .map(|path| format!("{}: ", path.display()));
    let path = path.unwrap_or_default();
    match limit.filter(|_| cfg!(target_os = "linux")) {
        Some((limit, more)) => {
            let message =
                format!("{path}cannot watch any more: the limit fs.inotify.{limit} is reached");
            Error::new(Kind::LocalIo, message).hint(format!(
                "raise it with `sudo sysctl fs.inotify.{limit}={more}`, or leave out folders with --exclude"
            ))
        }
        None => {
            let why = match &error.kind {
                notify::ErrorKind::Io(error) => error.to_string(),
                _ => error.to_string(),
            };
            Error::new(Kind::LocalIo, format!("{path}cannot be watched: {why}"))
        }
    }
}
