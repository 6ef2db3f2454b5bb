//! Tells a private folder that is at work from one that a killed transfer left: whoever works in one holds a lock on it, and the system
//! lets go of the lock with the process.

use std::ffi::OsStr;
use std::io;

use super::folder::Folder;

const PREFIX: &[u8] = b".fastvm-";
const NONCE: usize = 32;

/// Makes a private folder and holds it. Where the file system knows no locks it is merely made, and never swept.
pub(super) fn make_held(parent: &Folder, name: &OsStr) -> io::Result<Folder> {
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

/// Removes what killed transfers left in a folder.
pub(super) fn sweep(folder: &Folder) {
    for name in folder.names().unwrap_or_default() {
        if !is_of_ours(&name) {
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

#[cfg(all(test, unix))]
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
        fs::write(root.path().join(nonce("c")), "a file").unwrap();
        sweep(&folder);
        let there = |name: &str| root.path().join(name).exists();
        assert!(there(&nonce("a")) && !there(&nonce("b")));
        assert!(there(".fastvm-notes") && there(&nonce("g")) && there(&nonce("c")));
        drop(held);
        sweep(&folder);
        assert!(!there(&nonce("a")));
    }
}
