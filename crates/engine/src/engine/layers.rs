//! Whether layers are whole: an overlay does not miss what is not there.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Core, Error};

/// The file in a layer that names its trees, one a line.
const TREES: &str = "trees";
/// The tree that every layer has.
const ROOT: &str = "root";

impl Core {
    /// Makes a new, empty upper.
    pub(super) fn make_upper(&self, path: &Path) -> Result<(), Error> {
        self.host.create_disk(path)?;
        name_trees(path)
    }

    /// Refuses layers that are missing or have lost a tree.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the layer; `what` says what cannot be done without it.
    pub(super) fn check_layers<'a>(
        &self,
        what: impl FnOnce() -> String,
        layers: impl IntoIterator<Item = &'a String>,
    ) -> Result<(), Error> {
        match self.first_damage(layers) {
            Some(damage) => Err(Error::Conflict(format!("{}: {damage}", what()))),
            None => Ok(()),
        }
    }

    /// What is wrong with the first layer that is not whole.
    pub(super) fn first_damage<'a>(
        &self,
        layers: impl IntoIterator<Item = &'a String>,
    ) -> Option<String> {
        layers.into_iter().find_map(|layer| {
            let damage = damage(&self.folder.layer(layer))?;
            Some(format!("layer {layer} {damage}"))
        })
    }
}

/// Takes the lock of a layer, which is held until the snapshot that it was made for is ready.
pub(super) fn lock_layer(layer: &Path) -> Result<File, Error> {
    let path = layer.join(TREES);
    // Uppers of older versions have no such file.
    if !path.exists() {
        name_trees(layer)?;
    }
    File::open(&path)
        .and_then(|lock| lock.lock().map(|()| lock))
        .map_err(Error::file(format!("cannot lock {}", path.display())))
}

/// Takes the lock of a layer, or returns `None` if another process has it.
pub(super) fn try_lock_layer(layer: &Path) -> Result<Option<File>, Error> {
    let path = layer.join(TREES);
    let taken = File::open(&path).and_then(|lock| match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    taken.map_err(Error::file(format!("cannot lock {}", path.display())))
}

fn name_trees(layer: &Path) -> Result<(), Error> {
    let path = layer.join(TREES);
    let write = || {
        let mut names = String::new();
        for entry in fs::read_dir(layer)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push_str(&entry.file_name().to_string_lossy());
                names.push('\n');
            }
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        io::Write::write_all(&mut file, names.as_bytes())
    };
    write().map_err(Error::file(format!("cannot make {}", path.display())))
}

/// Why a layer cannot be used. Costs a few looks, whatever is in it.
fn damage(layer: &Path) -> Option<String> {
    if let Some(problem) = problem_of(layer) {
        return Some(problem);
    }
    let names = match fs::read_to_string(layer.join(TREES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Some(format!("cannot be used: {TREES}: {error}")),
        Ok(names) => names,
    };
    let others = names.lines().filter(|name| *name != ROOT);
    [ROOT].into_iter().chain(others).find_map(|name| {
        let problem = problem_of(&layer.join(name))?;
        Some(format!("is damaged: its folder {name} {problem}"))
    })
}

/// Why something cannot be used as a folder.
fn problem_of(folder: &Path) -> Option<String> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(String::from("is not a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::from("is missing")),
        Err(error) => Some(format!("cannot be used: {error}")),
    }
}
