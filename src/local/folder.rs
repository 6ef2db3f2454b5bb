//! Where everything lies below the data folder.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// The data folder of the local engine; nobody but its user may look inside.
///
/// ```text
/// state.db       what exists, in SQLite
/// key            the API key
/// engine.lock    held by every engine that works here
/// keeper.lock    held by the keeper of TTLs, if there is one
/// vms/ID/        lock, work folder and control socket of a VM
/// layers/ID/     trees of files: the writable upper of a VM, or an immutable layer once a snapshot took it; `trees`
///                names them, and is locked while the snapshot is being brought to the disk
/// serving/       where engines serve, one record each
/// blobs/ID       a staging object of a signed URL
/// volumes/ID/    what is in a native volume
/// credentials/ID a secret, readable by its user alone
/// images/        prepared base systems
/// trash/         what is being removed
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder of the records of engines that serve.
    pub(crate) const SERVING: &str = "serving";

    /// Opens a data folder, made with mode 0700 when missing.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        check_owner(root)?;
        make_private(root)?;
        // Later system calls must not depend on the working folder of the process.
        let root = fs::canonicalize(root).map_err(Error::at(root))?;
        let folder = Self { root };
        for child in ["vms", "layers", "blobs", "volumes", "credentials", "trash"] {
            make_private(&folder.root.join(child))?;
        }
        Ok(folder)
    }

    /// All that may be there and is ours; the lock is last.
    pub(crate) fn everything(&self) -> Vec<PathBuf> {
        let names = [
            "vms",
            "layers",
            "blobs",
            "volumes",
            "credentials",
            "trash",
            "images",
            "state.db",
            "state.db-wal",
            "state.db-shm",
            "key",
            Self::SERVING,
            // Of a version before.
            "serving.json",
            "keeper.lock",
        ];
        let paths = names.iter().map(|name| self.root.join(name));
        paths.chain([self.presence()]).collect()
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

    /// Locked by the keeper of TTLs, see [`super::keeper`].
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::at(path)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder with mode 0700, or takes group and others out of one that is there.
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
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::at(path))?;
    }
    Ok(())
}

/// What a tree takes on disk. What cannot be looked into counts as nothing.
pub(crate) fn disk_use(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else {
        return 0;
    };
    let own = found.blocks() * 512;
    if !found.is_dir() {
        return own;
    }
    let children = fs::read_dir(path).into_iter().flatten();
    own + children
        .filter_map(io::Result::ok)
        .map(|child| disk_use(&child.path()))
        .sum::<u64>()
}
