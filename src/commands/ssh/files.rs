//! The folder with both keys and what OpenSSH has to know of them. Made once; nobody else can read it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use fastvm_ssh::{KeyPair, PublicKey};

use super::options;
use crate::config::{Paths, access};
use crate::error::{Error, Kind};

/// The files, in a folder that is there.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

/// The keys of this machine.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) host: KeyPair,
    pub(super) client: PublicKey,
}

impl Files {
    /// The files of these settings, whether they are there or not.
    pub(super) fn of(paths: &Paths) -> Self {
        Self {
            folder: paths.ssh(),
        }
    }

    /// The files in a folder that a caller names.
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn client_key(&self) -> PathBuf {
        self.folder.join("client_key")
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// What `~/.ssh/config` includes.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// What `setup` made besides: names of files, one a line.
    pub(super) fn made(&self) -> PathBuf {
        self.folder.join("made")
    }

    /// Returns the keys, and makes those that are not there.
    pub(super) fn keys(&self) -> Result<Keys, Error> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .recursive(true)
            .create(&self.folder)
            .map_err(|error| failed("make", &self.folder, &error))?;
        // Of two that begin at once one makes the keys.
        let lock = self.folder.join(".lock");
        let file = File::create(&lock).map_err(|error| failed("write", &lock, &error))?;
        file.lock().map_err(|error| failed("lock", &lock, &error))?;
        let host = self.key(&self.folder.join("host_key"))?;
        let client = self.key(&self.client_key())?.public();
        self.write(&self.known_hosts(), &options::known_host(host.public()))?;
        let public = self.client_key().with_extension("pub");
        self.write(&public, &format!("{} fastvm\n", client.to_openssh()))?;
        Ok(Keys { host, client })
    }

    fn key(&self, path: &Path) -> Result<KeyPair, Error> {
        match fs::read_to_string(path) {
            Ok(text) => {
                access::close_to_others(path).map_err(|error| failed("close", path, &error))?;
                KeyPair::from_openssh(&text).map_err(|error| {
                    let message = format!("{} is {error}", path.display());
                    Error::new(Kind::LocalIo, message)
                        .hint("remove it, and the next `fastvm ssh` makes a new one")
                })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(|_| {
                    let error = std::io::Error::other("the system has no random numbers");
                    failed("make", path, &error)
                })?;
                self.write(path, &key.to_openssh("fastvm"))?;
                Ok(key)
            }
            Err(error) => Err(failed("read", path, &error)),
        }
    }

    /// Writes a file in one step, unless it has this content. Nobody else may read or write it, or ssh refuses it.
    pub(super) fn write(&self, path: &Path, content: &str) -> Result<(), Error> {
        if fs::read(path).is_ok_and(|old| old == content.as_bytes()) {
            return access::close_to_others(path).map_err(|error| failed("close", path, &error));
        }
        replace(path, content.as_bytes(), None).map_err(|error| failed("write", path, &error))
    }

    /// Removes the folder with all that is in it.
    pub(super) fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &self.folder, &error))
            }
            _ => Ok(()),
        }
    }
}

/// Writes beside, then renames over the old file. A new file is its owner's alone, unless it takes over permissions.
pub(super) fn replace(
    path: &Path,
    content: &[u8],
    permissions: Option<fs::Permissions>,
) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: File| {
        file.write_all(content)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    let written = options.open(&beside).and_then(write);
    if written.is_err() {
        // It is not there if it could not be made.
        let _ = fs::remove_file(&beside);
    }
    written
}

pub(super) fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot {verb} {}: {error}", path.display());
    Error::new(Kind::LocalIo, message)
}
