//! Where everything lies below the data folder.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Error, key};

/// The data folder of the local engine; nobody but its user may look inside.
///
/// ```text
/// state.db       what exists, in SQLite
/// records/       a copy of each row, for the time when the database is lost
/// reserve        room that is given up when the disk is full
/// key            the API key
/// engine.lock    held by every engine that works here
/// keeper.lock    held by the keeper of TTLs and disks, if there is one
/// vms/ID/        lock, work folder and control socket of a VM
/// layers/ID/     trees of files: the writable upper of a VM, or an immutable layer once a snapshot took it; `trees`
///                names them, and is locked while the snapshot is being brought to the disk
/// serving/       where engines serve, one record each
/// blobs/ID       a staging object of a signed URL
/// volumes/ID/    what is in a native volume
/// credentials/ID a secret, readable by its user alone
/// images/        prepared base systems
/// trash/         what is being removed
/// lost/          what a repair knew nothing of
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// The folders that every engine needs.
const FOLDERS: [&str; 7] = [
    "vms",
    "layers",
    "blobs",
    "volumes",
    "credentials",
    "records",
    "trash",
];

/// The files, and the folders that are made when needed. The lock is last: as long as it is there the folder is ours.
const FILES: [&str; 11] = [
    "images",
    "lost",
    Folder::SERVING,
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "key",
    "reserve",
    // Of a version before.
    "serving.json",
    "keeper.lock",
    "engine.lock",
];

/// Files of ours whose names go on with something that differs.
const PREFIXES: [&str; 2] = ["state.db.broken-", "key.broken-"];

/// What an engine writes about things that exist, by the words for one and for more.
const KINDS: [(&str, &str, &str); 4] = [
    ("vms", "VM", "VMs"),
    ("layers", "layer", "layers"),
    ("volumes", "volume", "volumes"),
    ("credentials", "credential", "credentials"),
];

impl Folder {
    /// The folder of the records of engines that serve.
    pub(crate) const SERVING: &str = "serving";

    /// Opens a data folder, made with mode 0700 when missing.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        check_owner(root)?;
        make_private(root)?;
        // Later system calls must not depend on the working folder of the process.
        let folder = Self::at(root);
        for child in FOLDERS {
            make_private(&folder.root.join(child))?;
        }
        Ok(folder)
    }

    /// Names a data folder, which may be missing. Changes nothing.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: canonical(root),
        }
    }

    /// Makes sure that the folder is one, and of this user: another one's VMs cannot be seen from here, and would be
    /// taken for dead.
    pub(crate) fn check_owner(&self) -> Result<(), Error> {
        check_owner(&self.root)
    }

    /// Returns whether engines have worked here: nothing is removed from a folder that is somebody else's.
    pub(crate) fn is_ours(&self) -> bool {
        let has = |name: &str| fs::symlink_metadata(self.root.join(name)).is_ok();
        has("engine.lock") || has("state.db") || (has("vms") && has("layers"))
    }

    /// Returns whether a repair put a file of this name aside.
    pub(crate) fn is_set_aside(name: &str) -> bool {
        PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    }

    /// All that is there and is ours; the lock is last.
    pub(crate) fn everything(&self) -> Vec<PathBuf> {
        let names = FOLDERS.iter().chain(&FILES[..FILES.len() - 1]);
        let mut paths: Vec<_> = names.map(|name| self.root.join(name)).collect();
        let entries = fs::read_dir(&self.root).into_iter().flatten();
        let others = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let others = others.filter(|name| Self::is_set_aside(name) || key::is_unfinished(name));
        paths.extend(others.map(|name| self.root.join(name)));
        paths.push(self.presence());
        paths
    }

    /// Says what an empty database knows nothing of: `its folder holds 2 VMs and 3 layers`. `None` if there is nothing.
    pub(crate) fn remains(&self) -> Option<String> {
        let count = |name: &str| {
            let entries = fs::read_dir(self.root.join(name)).into_iter().flatten();
            entries.filter_map(io::Result::ok).count()
        };
        let found: Vec<_> = KINDS
            .iter()
            .filter_map(|(name, one, more)| match count(name) {
                0 => None,
                1 => Some(format!("1 {one}")),
                number => Some(format!("{number} {more}")),
            })
            .collect();
        let list = match found.as_slice() {
            [] => return None,
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        };
        Some(format!("its folder holds {list}"))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("state.db")
    }

    /// Locked by every engine that works here.
    pub(crate) fn presence(&self) -> PathBuf {
        self.root.join("engine.lock")
    }

    /// The log that SQLite writes before it changes the database.
    pub(crate) fn database_log(&self) -> PathBuf {
        self.root.join("state.db-wal")
    }

    /// What SQLite shares between the processes that have the database open.
    pub(crate) fn database_index(&self) -> PathBuf {
        self.root.join("state.db-shm")
    }

    /// Copies of rows, see [`super::store::records`].
    pub(crate) fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// Room for a full disk, see [`super::reserve`].
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// What a repair knew nothing of.
    pub(crate) fn lost(&self) -> PathBuf {
        self.root.join("lost")
    }

    /// Locked by the keeper of TTLs and disks, see [`super::keeper`].
    pub(crate) fn keeper(&self) -> PathBuf {
        self.root.join("keeper.lock")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("key")
    }

    pub(crate) fn serving(&self) -> PathBuf {
        self.root.join(Self::SERVING)
    }

    pub(crate) fn vms(&self) -> PathBuf {
        self.root.join("vms")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn credentials(&self) -> PathBuf {
        self.root.join("credentials")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    pub(crate) fn blob(&self, id: &str) -> PathBuf {
        self.blobs().join(id)
    }

    pub(crate) fn vm(&self, id: &str) -> PathBuf {
        self.vms().join(id)
    }

    pub(crate) fn volume(&self, id: &str) -> PathBuf {
        self.volumes().join(id)
    }

    pub(crate) fn credential(&self, id: &str) -> PathBuf {
        self.credentials().join(id)
    }

    pub(crate) fn layer(&self, id: &str) -> PathBuf {
        self.layers().join(id)
    }
}

/// A folder that is not there yet will be ours.
fn check_owner(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => Err(Error::Foreign {
            path: path.to_owned(),
            owner: found.uid(),
        }),
        Ok(found) if !found.is_dir() => Err(Error::at(path)(io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::at(path)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder with mode 0700, or gives one that is there this mode.
fn make_private(path: &Path) -> Result<(), Error> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(Error::at(path));
        }
        Err(error) => return Err(Error::at(path)(error)),
    };
    if found.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::at(path))?;
    }
    Ok(())
}

/// The path without links and dots. Of what is missing only the part that is there is resolved.
fn canonical(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        if let Ok(found) = fs::canonicalize(there) {
            return missing
                .iter()
                .rev()
                .fold(found, |path, name| path.join(name));
        }
        match (there.parent(), there.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                there = parent;
            }
            _ => return path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_has_the_path_that_it_had() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        fs::create_dir(home.join("real")).unwrap();
        std::os::unix::fs::symlink("real", home.join("link")).unwrap();
        let path = home.join("link/data/deep");
        let before = Folder::at(&path);
        fs::create_dir_all(&path).unwrap();
        assert_eq!(before.root(), Folder::open(&path).unwrap().root());
        assert_eq!(before.root(), home.join("real/data/deep"));
    }

    #[test]
    fn what_remains_is_told_in_words() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        assert_eq!(folder.remains(), None);
        for path in [folder.vm("a"), folder.layer("b"), folder.layer("c")] {
            fs::create_dir(path).unwrap();
        }
        assert_eq!(
            folder.remains().unwrap(),
            "its folder holds 1 VM and 2 layers"
        );
        fs::write(folder.credential("d"), "").unwrap();
        assert_eq!(
            folder.remains().unwrap(),
            "its folder holds 1 VM, 2 layers and 1 credential"
        );
    }
}
