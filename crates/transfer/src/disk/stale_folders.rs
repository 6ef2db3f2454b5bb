//! Tells a private folder that is at work from one that a killed transfer left: whoever works in one holds a lock on it, and the system
//! lets go of the lock with the process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::disk::folder::{Folder, Kind};

const PREFIX: &[u8] = b".fastvm-";
const NONCE: usize = 32;

/// Makes a private folder and holds it. Where the file system knows no locks it is merely made, and never swept.
pub(crate) fn make_held(parent: &Folder, name: &OsStr) -> io::Result<Folder> {
    loop {
        parent.create_folder(name)?;
        let made = match parent.folder(name) {
            Ok(made) => made,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let _ = parent.remove_folder(name);
                return Err(error);
            }
        };
        // Between the making and the lock, a sweep of another transfer may have taken it for abandoned.
        let _ = made.hold();
        let is_there = parent.meta(name).map(|meta| meta.identity).ok()
            == made.own_meta().map(|meta| meta.identity).ok();
        if is_there {
            return Ok(made);
        }
    }
}

/// A private folder that a killed transfer left, held by this one, which may take files out of it. The rest goes when this is dropped.
#[derive(Debug)]
pub(crate) struct StaleFolder {
    parent: Folder,
    name: OsString,
    folder: Option<Folder>,
}

impl StaleFolder {
    /// `None` if there is no such folder, or its transfer is at work.
    pub(crate) fn claim(parent: Folder, name: &str) -> Option<Self> {
        let name = OsString::from(name);
        if !is_of_ours(&name) {
            return None;
        }
        let folder = parent.folder(&name).ok()?;
        folder.try_hold().ok()?;
        Some(Self {
            parent,
            name,
            folder: Some(folder),
        })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Moves a file of it into another folder, and opens it; only one that has no other name.
    pub(crate) fn take(&self, name: &OsStr, into: &Folder, new_name: &OsStr) -> io::Result<File> {
        let folder = self.folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
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
        self.folder.take();
        self.parent.remove_tree(&self.name);
    }
}

/// Removes what killed transfers left in a folder, but for what is spared.
pub(crate) fn sweep(folder: &Folder, spared: &[String]) {
    for name in folder.names().unwrap_or_default() {
        if !is_of_ours(&name) || spared.iter().any(|spared| name == spared.as_str()) {
            continue;
        }
        if let Ok(left) = folder.folder(&name)
            && left.try_hold().is_ok()
        {
            folder.remove_tree(&name);
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
    fn what_is_held_or_not_ours_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let nonce = |digit: &str| format!(".fastvm-{}", digit.repeat(32));
        let held = make_held(&folder, nonce("a").as_ref()).unwrap();
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
        drop(held);
        sweep(&folder, &[]);
        assert!(!there(&nonce("a")));
    }

    #[test]
    fn a_file_of_an_inherited_folder_is_taken_and_the_rest_goes() {
        let root = tempfile::tempdir().unwrap();
        let open = || Folder::open(root.path()).unwrap();
        let name = format!(".fastvm-{}", "a".repeat(32));
        let held = make_held(&open(), name.as_ref()).unwrap();
        let path = root.path().join(&name);
        fs::write(path.join("file"), "some").unwrap();
        fs::write(path.join("twice"), "more").unwrap();
        fs::hard_link(path.join("twice"), root.path().join("of the user")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
        assert!(StaleFolder::claim(open(), &name).is_none(), "it is at work");
        drop(held);
        assert!(StaleFolder::claim(open(), "of the user").is_none());
        let inherited = StaleFolder::claim(open(), &name).unwrap();
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
