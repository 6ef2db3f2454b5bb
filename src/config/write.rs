//! Changes one TOML file of settings: under a lock, in one step, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::Error;
use super::file::Source;

/// What to do with a file that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfBroken {
    /// Leave it to the user.
    Refuse,
    /// Keep it beside, with `.broken` after its name, and begin a new one.
    SetAside,
}

/// Reads a file, lets `change` edit it, and writes it back; returns where a broken one was kept.
///
/// Comments, order and unknown entries stay. Other writers wait. A crash leaves the old file or the new one.
pub(super) fn update(
    path: &Path,
    if_broken: IfBroken,
    change: impl FnOnce(&mut DocumentMut) -> Result<(), Error>,
) -> Result<Option<PathBuf>, Error> {
    let _lock = lock_folder(&folder_of(path)?)?;
    let (mut document, kept) = match read(path) {
        Ok(document) => (document, None),
        Err(Error::Broken { .. } | Error::TooLarge { .. }) if if_broken == IfBroken::SetAside => {
            (DocumentMut::new(), Some(set_aside(path)?))
        }
        Err(error) => return Err(error),
    };
    change(&mut document)?;
    replace(&link_target(path), document.to_string().as_bytes())
        .map_err(|error| Error::io("write", path, &error))?;
    Ok(kept)
}

fn read(path: &Path) -> Result<DocumentMut, Error> {
    match Source::read(path)? {
        Some(source) => source.document(),
        None => Ok(DocumentMut::new()),
    }
}

/// The folder of settings, made if needed and closed to others.
fn folder_of(path: &Path) -> Result<PathBuf, Error> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    make_private_folder(&folder).map_err(|error| Error::io("make", &folder, &error))?;
    close_to_others(&folder);
    Ok(folder)
}

/// Makes a folder that is closed to others, with those above it, unless it is there.
pub(crate) fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Tightens the folder. One that is not ours stays as it is: the files in it are closed anyway.
#[cfg(unix)]
fn close_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if let Ok(metadata) = folder.metadata()
        && metadata.permissions().mode() & 0o077 != 0
    {
        let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
}

#[cfg(not(unix))]
fn close_to_others(_folder: &Path) {}

/// Waits for other writers; the lock goes with the returned file. Some network file systems have no locks.
pub(crate) fn lock_folder(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    let failed = |error| Error::io("lock", &path, &error);
    let file = owner_only(OpenOptions::new().create(true).truncate(false).write(true))
        .open(&path)
        .map_err(failed)?;
    match file.lock() {
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(failed(error)),
        _ => Ok(file),
    }
}

/// The file behind a symbolic link, so that the link stays; the link may lead to nothing yet.
fn link_target(path: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(path) {
        return target;
    }
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_) => path.to_owned(),
    }
}

/// Writes beside, makes it durable, then renames over the old file.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = beside(path, ".", ".new");
    // the lock is ours: what is there was left by a writer that died
    let _ = fs::remove_file(&temporary);
    rename_over(path, &temporary, || write_new(&temporary, content))
}

/// Replaces a file of another program, or makes it, in one step: it keeps its mode and its owner, and a link stays a link.
pub(crate) fn replace_foreign(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let path = link_target(path);
    make_private_folder(path.parent().unwrap_or(Path::new(".")))?;
    let before = fs::metadata(&path).ok();
    let temporary = beside(&path, ".", &format!(".{}.new", std::process::id()));
    rename_over(&path, &temporary, || {
        write_new(&temporary, content)?;
        before.map_or(Ok(()), |before| make_alike(&temporary, &before))
    })
}

/// Renames the file that `write` makes over the old one, and leaves nothing if that fails.
fn rename_over(
    path: &Path,
    temporary: &Path,
    write: impl FnOnce() -> std::io::Result<()>,
) -> std::io::Result<()> {
    let written = write().and_then(|()| fs::rename(temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(temporary);
    }
    written?;
    sync_folder(path)
}

/// Gives the file the owner and the mode of another.
#[cfg(unix)]
fn make_alike(path: &Path, other: &fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let made = fs::metadata(path)?;
    if (made.uid(), made.gid()) != (other.uid(), other.gid()) {
        chown(path, Some(other.uid()), Some(other.gid()))?;
    }
    fs::set_permissions(path, other.permissions())
}

#[cfg(not(unix))]
fn make_alike(path: &Path, other: &fs::Metadata) -> std::io::Result<()> {
    fs::set_permissions(path, other.permissions())
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = owner_only(OpenOptions::new().create_new(true).write(true)).open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()
}

fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let target = link_target(path);
    let kept = beside(&target, "", ".broken");
    let failed = |error| Error::io("keep", &kept, &error);
    fs::rename(&target, &kept).map_err(failed)?;
    #[cfg(unix)]
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(failed)?;
    Ok(kept)
}

fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{before}{name}{after}"))
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Makes the rename durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn set(path: &Path, key: &str, value: &str) -> Result<Option<PathBuf>, Error> {
        update(path, IfBroken::SetAside, |document| {
            document[key] = toml_edit::value(value);
            Ok(())
        })
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folder_are_closed_to_others_also_when_they_were_open() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/fastvm/config.toml");
        set(&path, "api_key", "k").unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
        set(&path, "api_key", "k").unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn comments_and_unknown_entries_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        fs::write(
            &path,
            "# mine\nbase_url = \"x\" # here\n\n[profiles.prod]\nz = [1,  2]\n",
        )
        .unwrap();
        set(&path, "api_key", "a \"quote\"\nand a line").unwrap();
        set(&path, "base_url", "y").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\nbase_url = \"y\""), "{text}");
        assert!(text.ends_with("\n[profiles.prod]\nz = [1,  2]\n"), "{text}");
        let document = Source::read(&path).unwrap().unwrap().document().unwrap();
        assert_eq!(
            document["api_key"].as_str(),
            Some("a \"quote\"\nand a line")
        );
    }

    #[test]
    fn a_link_stays_a_link() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fastvm/config.toml");
        let target = home.path().join("dotfiles.toml");
        fs::create_dir(path.parent().unwrap()).unwrap();
        symlink("../dotfiles.toml", &path).unwrap();
        for value in ["dangling", "there"] {
            set(&path, "api_key", value).unwrap();
            assert!(path.is_symlink());
            assert!(fs::read_to_string(&target).unwrap().contains(value));
        }
    }

    #[test]
    fn a_file_of_another_program_keeps_its_mode_and_owner() {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/settings.json");
        replace_foreign(&path, b"new").unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(1234), Some(1235)).unwrap();
        }
        let owner = |path: &Path| {
            let found = path.metadata().unwrap();
            (found.uid(), found.gid())
        };
        let before = owner(&path);
        replace_foreign(&path, b"changed").unwrap();
        assert_eq!((mode(&path), owner(&path)), (0o664, before));
        assert_eq!(fs::read(&path).unwrap(), b"changed");
    }

    #[test]
    fn a_broken_file_is_kept_beside_or_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        fs::write(&path, "api_key = \"a\nb\"").unwrap();
        assert!(matches!(
            update(&path, IfBroken::Refuse, |_| Ok(())),
            Err(Error::Broken { .. })
        ));
        let kept = set(&path, "api_key", "good").unwrap().unwrap();
        assert_eq!(kept, home.path().join("config.toml.broken"));
        assert_eq!(fs::read_to_string(&kept).unwrap(), "api_key = \"a\nb\"");
        assert_eq!(mode(&kept), 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "api_key = \"good\"\n");
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fastvm/config.toml");
        std::thread::scope(|scope| {
            for number in 0..50 {
                let path = &path;
                scope.spawn(move || set(path, &format!("k{number}"), "v").unwrap());
            }
        });
        let document = Source::read(&path).unwrap().unwrap().document().unwrap();
        assert_eq!(document.len(), 50);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn a_failed_change_leaves_the_file_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        set(&path, "api_key", "k").unwrap();
        let refused = update(&path, IfBroken::Refuse, |document| {
            document["api_key"] = toml_edit::value("other");
            Err(Error::NoHome)
        });
        assert_eq!(refused, Err(Error::NoHome));
        assert!(fs::read_to_string(&path).unwrap().contains("\"k\""));
    }
}
