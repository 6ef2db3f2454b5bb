//! Tells a private folder that is at work from one that a killed transfer left: whoever works in one holds a lock on a file in it, and
//! the system lets go of the lock with the process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::disk::folder::{Folder, Kind};

const PREFIX: &[u8] = b".fastvm-";
const NONCE: usize = 32;

/// The file in a private folder that is locked as long as somebody works there.
const LOCK: &str = "lock";

/// Makes a private folder and locks it until the file is closed. Where the file system knows no locks it is merely made, and never swept.
pub(crate) fn make_locked(parent: &Folder, name: &OsStr) -> io::Result<File> {
    loop {
        parent.create_folder(name)?;
        let made = parent.folder(name).and_then(|made| {
            let lock = made.open_or_create(LOCK.as_ref())?;
            Ok((made, lock))
        });
        let (made, lock) = match made {
            Ok(made) => made,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let _ = parent.remove_folder(name);
                return Err(error);
            }
        };
        // Between the making and the lock, a sweep of another transfer may have taken it for abandoned.
        let _ = lock.lock();
        let locked = Folder::file_meta(&lock)?.identity;
        if made
            .meta(LOCK.as_ref())
            .is_ok_and(|meta| meta.identity == locked)
        {
            return Ok(lock);
        }
        // Some systems keep a folder as long as a file in it is open.
        drop(lock);
        let _ = parent.remove_folder(name);
    }
}

/// Locks a folder that a killed transfer left; `None` if there is no such folder, or its transfer is at work.
fn lock_left(parent: &Folder, name: &OsStr) -> Option<(Folder, File)> {
    if !is_of_ours(name) {
        return None;
    }
    let folder = parent.folder(name).ok()?;
    let lock = folder.open_or_create(LOCK.as_ref()).ok()?;
    lock.try_lock().ok()?;
    Some((folder, lock))
}

/// Removes a folder that is locked. The lock lasts until all is gone, or whoever is about to make the folder would take it for his.
fn remove_locked(parent: &Folder, name: &OsStr, lock: File) {
    parent.remove_tree(name);
    drop(lock);
    // Some systems keep a folder as long as a file in it is open.
    let _ = parent.remove_folder(name);
}

/// A private folder that a killed transfer left, locked by this one, which may take files out of it. The rest goes when this is dropped.
#[derive(Debug)]
pub(crate) struct StaleFolder {
    parent: Folder,
    name: OsString,
    open: Option<(Folder, File)>,
}

impl StaleFolder {
    /// `None` if there is no such folder, or its transfer is at work.
    pub(crate) fn claim(parent: Folder, name: &OsStr) -> Option<Self> {
        Some(Self {
            open: Some(lock_left(&parent, name)?),
            parent,
            name: name.to_owned(),
        })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Moves a file of it into another folder, and opens it; only one that has no other name.
    pub(crate) fn take(&self, name: &OsStr, into: &Folder, new_name: &OsStr) -> io::Result<File> {
        let (folder, _) = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let file = folder.open_written(name)?;
        let meta = Folder::file_meta(&file)?;
        if meta.kind != Kind::File || meta.links != 1 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        folder.rename(name, into, new_name)?;
        Ok(file)
    }
}

impl Drop for StaleFolder {
    fn drop(&mut self) {
        if let Some((folder, lock)) = self.open.take() {
            drop(folder);
            remove_locked(&self.parent, &self.name, lock);
        }
    }
}

/// Removes what killed transfers left in a folder, but for what is spared.
pub(crate) fn sweep(folder: &Folder, spared: &[String]) {
    for name in folder.names().unwrap_or_default() {
        if spared.iter().any(|spared| name == spared.as_str()) {
            continue;
        }
        if let Some((left, lock)) = lock_left(folder, &name) {
            drop(left);
            remove_locked(folder, &name, lock);
        }
    }
}

fn is_of_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes()
        .strip_prefix(PREFIX)
        .is_some_and(|nonce| {
            nonce.len() == NONCE
                && nonce
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
        })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_locked_or_not_ours_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let nonce = |digit: &str| format!(".fastvm-{}", digit.repeat(32));
        let lock = make_locked(&folder, nonce("a").as_ref()).unwrap();
        fs::create_dir_all(root.path().join(nonce("b")).join("tree")).unwrap();
        fs::create_dir(root.path().join(".fastvm-notes")).unwrap();
        fs::create_dir(root.path().join(nonce("g"))).unwrap();
        fs::create_dir(root.path().join(nonce("d"))).unwrap();
        fs::write(root.path().join(nonce("c")), "a file").unwrap();
        sweep(&folder, &[nonce("d")]);
        let there = |name: &str| root.path().join(name).exists();
        assert!(there(&nonce("a")) && !there(&nonce("b")));
        assert!(there(".fastvm-notes") && there(&nonce("g")) && there(&nonce("c")));
        assert!(there(&nonce("d")), "it is spared");
        drop(lock);
        sweep(&folder, &[]);
        assert!(!there(&nonce("a")));
    }

    #[test]
    fn a_file_of_an_inherited_folder_is_taken_and_the_rest_goes() {
        let root = tempfile::tempdir().unwrap();
        let open = || Folder::open(root.path()).unwrap();
        let name = format!(".fastvm-{}", "a".repeat(32));
        let lock = make_locked(&open(), name.as_ref()).unwrap();
        let path = root.path().join(&name);
        fs::write(path.join("file"), "some").unwrap();
        fs::write(path.join("twice"), "more").unwrap();
        fs::hard_link(path.join("twice"), root.path().join("of the user")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
        assert!(
            StaleFolder::claim(open(), name.as_ref()).is_none(),
            "it is at work"
        );
        drop(lock);
        assert!(StaleFolder::claim(open(), "of the user".as_ref()).is_none());
        let inherited = StaleFolder::claim(open(), name.as_ref()).unwrap();
        sweep(&open(), &[]);
        let take = |name: &str| inherited.take(name.as_ref(), &open(), "taken".as_ref());
        for refused in ["twice", "link", "../of the user", "nothing"] {
            assert!(take(refused).is_err(), "{refused}");
        }
        take("file").unwrap();
        drop(inherited);
        assert!(!path.exists());
        assert_eq!(fs::read(root.path().join("taken")).unwrap(), b"some");
        assert_eq!(fs::read(root.path().join("of the user")).unwrap(), b"more");
    }
}
