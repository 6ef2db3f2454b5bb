//! Files in the system folders of this computer that an ordinary user may read and strangers may not.
//!
//! Root inside such a user's machine is that user, so the kernel would let it read them. They are looked for once a
//! start of this computer, and covered in each machine.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::error::Error;

/// Others may read a file, and list and enter a folder.
const FILE_FOR_ALL: u32 = 0o004;
const FOLDER_FOR_ALL: u32 = 0o005;

/// Returns the paths to cover below `folders`; `note` keeps them until the next start of this computer.
pub(super) fn find(folders: &[PathBuf], note: &Path) -> Result<Vec<PathBuf>, Error> {
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if let Ok(known) = fs::read(note)
        && let Some(list) = known.strip_prefix(&*boot)
        && !boot.is_empty()
    {
        return Ok(paths(list));
    }
    let mut found = Vec::new();
    for folder in folders {
        search(folder, &mut found);
    }
    let mut text = boot;
    for path in &found {
        text.extend_from_slice(path.as_os_str().as_bytes());
        text.push(0);
    }
    write_whole(note, &text).map_err(Error::file(note))?;
    Ok(found)
}

fn paths(list: &[u8]) -> Vec<PathBuf> {
    list.split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}

/// What cannot be looked at cannot be read either.
fn search(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(about) = entry.metadata() else {
            continue;
        };
        let (for_all, access) = match about.is_dir() {
            true => (FOLDER_FOR_ALL, Access::EXEC_OK),
            false => (FILE_FOR_ALL, Access::READ_OK),
        };
        if about.is_symlink() {
            continue;
        }
        let path = entry.path();
        if about.mode() & for_all != for_all {
            // Root inside reads what belongs to the user whatever its mode.
            let is_own = about.uid() == rustix::process::geteuid().as_raw();
            if is_own || rustix::fs::access(&path, access).is_ok() {
                found.push(path);
            }
        } else if about.is_dir() {
            search(&path, found);
        }
    }
}

fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    fs::write(&fresh, text)?;
    fs::rename(&fresh, path)
}
