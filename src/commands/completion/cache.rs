//! Names that were asked for lately, in a private folder.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long names are taken for true.
const MAX_AGE: Duration = Duration::from_secs(30);

/// The file for the names of one kind of thing in one API.
pub(super) fn file(folder: &Path, api: &str, noun: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (api, noun).hash(&mut hasher);
    folder.join(format!("names-{:016x}.json", hasher.finish()))
}

/// The names, if they are young enough.
pub(super) fn read(file: &Path) -> Option<Vec<String>> {
    let age = fs::metadata(file).ok()?.modified().ok()?.elapsed().ok()?;
    if age > MAX_AGE {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Forgets all names: something was changed.
pub(super) fn forget(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("names-") {
            // one that stays is old in half a minute
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Keeps names. A cache that cannot be written is none.
pub(super) fn write(file: &Path, names: &[String]) -> Option<()> {
    let folder = file.parent()?;
    fs::create_dir_all(folder).ok()?;
    let beside = folder.join(format!("names-{}.new", uuid::Uuid::new_v4().simple()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let new = options.open(&beside).ok()?;
    let written = serde_json::to_writer(new, names).is_ok() && fs::rename(&beside, file).is_ok();
    if !written {
        let _ = fs::remove_file(&beside);
    }
    written.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_for_a_while_and_apart_for_each_api() {
        let folder = tempfile::tempdir().unwrap();
        let file = |api| file(&folder.path().join("new"), api, "vm");
        assert_eq!(read(&file("a")), None);
        write(&file("a"), &["dev".to_owned()]).unwrap();
        assert_eq!(read(&file("a")), Some(vec!["dev".to_owned()]));
        assert_eq!(read(&file("b")), None);
        let old = std::time::SystemTime::now() - Duration::from_secs(31);
        let opened = fs::File::options().append(true).open(file("a")).unwrap();
        opened.set_modified(old).unwrap();
        assert_eq!(read(&file("a")), None);
    }
}
