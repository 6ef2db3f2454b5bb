//! The folder with both keys and what OpenSSH has to know of them. Made once; nobody else can read it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fastvm_ssh::{KeyPair, PublicKey};

use super::options;
use crate::config::{Paths, access, lock_folder, make_private_folder, replace_foreign};
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
        make_private_folder(&self.folder).map_err(|error| failed("make", &self.folder, &error))?;
        // Of two that begin at once one makes the keys.
        let _lock = lock_folder(&self.folder)?;
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
        if !fs::read(path).is_ok_and(|old| old == content.as_bytes()) {
            replace_foreign(path, content.as_bytes())
                .map_err(|error| failed("write", path, &error))?;
        }
        access::close_to_others(path).map_err(|error| failed("close", path, &error))
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

pub(super) fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot {verb} {}: {error}", path.display());
    Error::new(Kind::LocalIo, message)
}
