//! Removes trees in the background: a disk may hold millions of files, and nobody should wait for them.

use crate::background::Background as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io, thread};

use uuid::Uuid;

use fastvm_sandbox::Host;

/// A folder whose content is being removed. What a process leaves there, the next one removes.
#[derive(Debug)]
pub(super) struct DeferredRemoval {
    folder: PathBuf,
    host: Arc<Host>,
    queue: Mutex<Option<Sender<(PathBuf, Awaited)>>>,
    waiting: Arc<Waiting>,
}

/// Whether a stopping engine should wait for a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Yes,
    No,
}

/// How many trees are still to be removed.
#[derive(Debug, Default)]
struct Waiting {
    count: Mutex<usize>,
    changed: Condvar,
}

impl DeferredRemoval {
    pub(super) fn new(folder: PathBuf, host: Arc<Host>) -> Self {
        Self {
            folder,
            host,
            queue: Mutex::default(),
            waiting: Arc::default(),
        }
    }

    /// Takes a file or tree out of its place at once, and removes it later. One that is not there is fine. Where there is
    /// no room for its new name, it is removed in its place.
    pub(super) fn throw(&self, path: &Path) -> io::Result<()> {
        let grave = self.folder.join(Uuid::new_v4().to_string());
        match fs::rename(path, &grave) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_there(path) => {
                return Ok(());
            }
            Err(_) => return self.host.remove_tree(path).map_err(io::Error::other),
            Ok(()) => {}
        }
        self.waiting.add();
        self.remove(grave, Awaited::Yes);
        Ok(())
    }

    /// Removes what earlier processes left. Nobody waits for that.
    pub(super) fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            self.remove(entry?.path(), Awaited::No);
        }
        Ok(())
    }

    /// Waits until all is removed, or as long as told.
    pub(super) fn settle(&self, patience: Duration) {
        let count = self
            .waiting
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(
            self.waiting
                .changed
                .wait_timeout_while(count, patience, |count| *count > 0),
        );
    }

    fn remove(&self, path: PathBuf, awaited: Awaited) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = queue
            .get_or_insert_with(|| self.start())
            .send((path, awaited));
        drop(queue);
        if let Err(SendError((path, awaited))) = sent {
            // The system gave no thread. What cannot be removed is tried again by the next process.
            self.host.remove_tree(&path).or_warn("remove a disk");
            self.waiting.done(awaited);
        }
    }

    /// The thread ends when this object goes.
    fn start(&self) -> Sender<(PathBuf, Awaited)> {
        let (sender, paths) = channel();
        let (host, waiting) = (self.host.clone(), self.waiting.clone());
        let work = move || {
            for (path, awaited) in paths {
                // Another process may be removing the same; what cannot be removed is tried again by the next one.
                let path: PathBuf = path;
                host.remove_tree(&path).or_warn("remove a disk");
                waiting.done(awaited);
            }
        };
        thread::Builder::new()
            .name("fastvm-trash".to_owned())
            .spawn(work)
            .or_warn("start a thread that removes disks");
        sender
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

impl Waiting {
    fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn done(&self, awaited: Awaited) {
        if awaited == Awaited::No {
            return;
        }
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }
}
