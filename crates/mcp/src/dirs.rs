//! The folders of this machine that files may be copied from and to.
//!
//! Each is held open from the start, and what is below it is reached from there, one name after another, without
//! following a link. So nothing that a path says and no link that is swapped meanwhile leads outside. Where the system
//! has no such handles the real path is looked at first: a link that is swapped after that is followed.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// Folders that may be copied from and to.
#[derive(Debug, Default)]
pub struct AllowedDirs(Vec<Dir>);

#[derive(Debug)]
struct Dir {
    /// As it was given, and where that leads: paths below either are below it.
    given: PathBuf,
    real: PathBuf,
    #[cfg(unix)]
    handle: std::fs::File,
}

/// A folder that cannot be allowed.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the folder {}: {source}", path.display())]
pub struct NotAllowed {
    path: PathBuf,
    source: io::Error,
}

/// A path below an allowed folder, as the names that lead there.
#[derive(Debug)]
pub(crate) struct Below<'a> {
    dir: &'a Dir,
    names: Vec<std::ffi::OsString>,
    /// As it was written.
    shown: PathBuf,
}

impl AllowedDirs {
    /// Opens folders.
    ///
    /// # Errors
    /// One is not there, is no folder, or may not be read.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, NotAllowed> {
        let dirs = paths.iter().map(|path| {
            let path = path.as_ref();
            Dir::open(path).map_err(|source| NotAllowed {
                path: path.to_owned(),
                source,
            })
        });
        Ok(Self(dirs.collect::<Result<_, _>>()?))
    }

    /// Finds the folder that a path is below. A relative path is below the first.
    pub(crate) fn below(&self, path: &Path) -> Result<Below<'_>, Failure> {
        let Some(first) = self.0.first() else {
            return Err(Failure::new("forbidden", "no folder of this machine may be copied from or to")
                .hint("the user must start the server with --allow-dir DIR, as in `fastvm mcp --allow-dir ~/project`"));
        };
        let found = match path.is_absolute() {
            false => Some((first, path)),
            true => self
                .0
                .iter()
                .find_map(|dir| dir.rest(path).map(|rest| (dir, rest))),
        };
        let (dir, rest) = found.ok_or_else(|| self.outside(path, "is not below it"))?;
        let mut names = Vec::new();
        for part in rest.components() {
            match part {
                Component::Normal(name) => names.push(name.to_owned()),
                Component::CurDir => {}
                _ => return Err(self.outside(path, "a path may not hold `..`")),
            }
        }
        Ok(Below {
            dir,
            names,
            shown: path.to_owned(),
        })
    }

    fn outside(&self, path: &Path, why: &str) -> Failure {
        let dirs: Vec<_> = self
            .0
            .iter()
            .map(|dir| dir.given.display().to_string())
            .collect();
        Failure::new(
            "forbidden",
            format!("{} is not allowed: {why}", path.display()),
        )
        .hint(format!(
            "only what is below --allow-dir may be copied: {}",
            dirs.join(", ")
        ))
    }
}

impl Dir {
    fn open(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        if !real.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            given: std::path::absolute(path)?,
            #[cfg(unix)]
            handle: std::fs::File::open(&real)?,
            real,
        })
    }

    /// What a path says below this folder.
    fn rest<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let rest = path.strip_prefix(&self.real);
        rest.or_else(|_| path.strip_prefix(&self.given)).ok()
    }
}

impl Below<'_> {
    /// How messages name it.
    #[cfg(unix)]
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let shown = self.shown.display();
        match error.kind() {
            _ if is_link(error) => Failure::new(
                "forbidden",
                format!("{shown} leads through a link: links are not followed"),
            ),
            io::ErrorKind::NotFound => {
                Failure::new("not_found", format!("{shown}: no such file or folder"))
            }
            io::ErrorKind::NotADirectory => Failure::new(
                "forbidden",
                format!("{shown} leads through a link or a file: links are not followed"),
            ),
            _ => Failure::new("local_io", format!("{shown}: {error}")),
        }
    }
}

/// Returns whether the system did not follow a link.
#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// Elsewhere a path that leads outside is told as one that leads through a file.
#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}

#[cfg(unix)]
mod handles {
    use std::ffi::{OsStr, OsString};
    use std::fs::File;
    use std::io;

    use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};

    use super::Below;
    use crate::failure::Failure;

    /// What the names of folders begin with that copies are made in.
    const STAGE: &str = ".fastvm-copy-";

    const FOLDER: OFlags = OFlags::RDONLY
        .union(OFlags::DIRECTORY)
        .union(OFlags::NOFOLLOW)
        .union(OFlags::CLOEXEC);
    const SOURCE: OFlags = OFlags::RDONLY
        .union(OFlags::NOFOLLOW)
        .union(OFlags::NONBLOCK)
        .union(OFlags::NOCTTY)
        .union(OFlags::CLOEXEC);

    /// A folder beside the place of a copy, in which it is made. It is removed when this is dropped.
    #[derive(Debug)]
    pub(crate) struct Stage {
        parent: File,
        name: OsString,
        /// Locked as long as the copy is made.
        folder: File,
        /// The name of the copy, here and there.
        target: OsString,
    }

    impl Below<'_> {
        /// Opens it to be read.
        pub(crate) fn open(&self) -> Result<File, Failure> {
            let opened = self
                .folder(self.names.len().saturating_sub(1))
                .and_then(|folder| match self.names.last() {
                    Some(name) => {
                        Ok(rustix::fs::openat(&folder, name, SOURCE, Mode::empty())?.into())
                    }
                    None => Ok(folder),
                });
            opened.map_err(|error| self.failed(&error))
        }

        /// Makes a folder to copy into. A path that is a folder, or ends like one, gets the copy below `name`.
        pub(crate) fn stage(&self, name: Option<&OsStr>, is_into: bool) -> Result<Stage, Failure> {
            let is_folder = is_into || self.folder(self.names.len()).is_ok();
            let target = match is_folder {
                true => name.map(OsStr::to_owned),
                false => self.names.last().cloned(),
            };
            let target = target.ok_or_else(|| {
                Failure::usage("the copy has no name: write it behind the folder")
            })?;
            let depth = self.names.len() - usize::from(!is_folder);
            let staged = self
                .folder(depth)
                .and_then(|parent| Stage::make(parent, target));
            staged.map_err(|error| self.failed(&error))
        }

        /// Opens the folder that so many of the names lead to.
        fn folder(&self, depth: usize) -> io::Result<File> {
            let mut folder = self.dir.handle.try_clone()?;
            for name in &self.names[..depth] {
                folder = rustix::fs::openat(&folder, name, FOLDER, Mode::empty())?.into();
            }
            Ok(folder)
        }
    }

    impl Stage {
        fn make(parent: File, target: OsString) -> io::Result<Self> {
            sweep(&parent);
            let name = OsString::from(format!("{STAGE}{}", uuid::Uuid::new_v4().simple()));
            rustix::fs::mkdirat(&parent, &name, Mode::RWXU)?;
            let folder = File::from(rustix::fs::openat(&parent, &name, FOLDER, Mode::empty())?);
            rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
            Ok(Self {
                parent,
                name,
                folder,
                target,
            })
        }

        /// A path to what is copied, for one who opens no handles. On Linux it leads to the held folder itself.
        pub(crate) fn path(&self) -> io::Result<std::path::PathBuf> {
            Ok(path_of(&self.folder)?.join(&self.target))
        }

        /// Moves the copy to its place. A file replaces a file; nothing replaces a folder, a link or a device.
        pub(crate) fn place(self) -> Result<(), Failure> {
            let shown = self.target.display();
            let in_the_way = |what: &str| {
                Failure::new(
                    "conflict",
                    format!("{shown} is {what}, which no copy replaces"),
                )
            };
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            if let Ok(there) = rustix::fs::statat(&self.parent, &self.target, flags) {
                match FileType::from_raw_mode(there.st_mode) {
                    FileType::RegularFile => {}
                    FileType::Directory => {
                        return Err(in_the_way("a folder")
                            .hint("copy to another name, or delete the folder first"));
                    }
                    FileType::Symlink => {
                        return Err(Failure::new(
                            "forbidden",
                            format!("{shown} is a link: links are not followed"),
                        ));
                    }
                    _ => return Err(in_the_way("a device, pipe or socket")),
                }
            }
            rustix::fs::renameat(&self.folder, &self.target, &self.parent, &self.target)
                .map_err(|error| Failure::new("local_io", format!("{shown}: {error}")))
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            if let Ok(parent) = path_of(&self.parent) {
                let _ = std::fs::remove_dir_all(parent.join(&self.name));
            }
        }
    }

    /// Removes what killed servers left.
    fn sweep(parent: &File) {
        let Ok(path) = path_of(parent) else { return };
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with(STAGE) {
                continue;
            }
            let Ok(folder) = rustix::fs::openat(parent, &name, FOLDER, Mode::empty()) else {
                continue;
            };
            // One that is at work holds it.
            if rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = std::fs::remove_dir_all(path.join(&name));
            }
        }
    }

    /// A path to a folder that is open.
    #[cfg(target_os = "linux")]
    fn path_of(folder: &File) -> io::Result<std::path::PathBuf> {
        use std::os::fd::AsRawFd as _;
        Ok(format!("/proc/self/fd/{}", folder.as_raw_fd()).into())
    }

    #[cfg(target_os = "macos")]
    fn path_of(folder: &File) -> io::Result<std::path::PathBuf> {
        use std::os::unix::ffi::OsStrExt as _;
        let path = rustix::fs::getpath(folder)?;
        Ok(OsStr::from_bytes(path.as_bytes()).into())
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    fn path_of(_: &File) -> io::Result<std::path::PathBuf> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(unix))]
mod paths {
    use std::ffi::OsStr;
    use std::io;
    use std::path::PathBuf;

    use super::Below;
    use crate::failure::Failure;

    /// Where a copy goes.
    #[derive(Debug)]
    pub(crate) struct Stage(PathBuf);

    impl Below<'_> {
        /// Returns the path, if it is below the folder by now.
        pub(crate) fn open(&self) -> Result<PathBuf, Failure> {
            let path = self.dir.real.join(self.names.iter().collect::<PathBuf>());
            let real = path.canonicalize().map_err(|error| self.failed(&error))?;
            match real.starts_with(&self.dir.real) {
                true => Ok(real),
                false => Err(self.failed(&io::ErrorKind::NotADirectory.into())),
            }
        }

        /// Finds the place of a copy. A path that is a folder, or ends like one, gets the copy below `name`.
        pub(crate) fn stage(&self, name: Option<&OsStr>, is_into: bool) -> Result<Stage, Failure> {
            let path = self.dir.real.join(self.names.iter().collect::<PathBuf>());
            let target = match is_into || path.is_dir() {
                true => name.map(|name| path.join(name)),
                false => (!self.names.is_empty()).then_some(path),
            };
            let target = target.ok_or_else(|| {
                Failure::usage("the copy has no name: write it behind the folder")
            })?;
            let parent = target.parent().unwrap_or(&self.dir.real).canonicalize();
            let parent = parent.map_err(|error| self.failed(&error))?;
            match parent.starts_with(&self.dir.real) && !target.is_symlink() {
                true => Ok(Stage(parent.join(target.file_name().unwrap_or_default()))),
                false => Err(self.failed(&io::ErrorKind::NotADirectory.into())),
            }
        }
    }

    impl Stage {
        pub(crate) fn path(&self) -> io::Result<PathBuf> {
            Ok(self.0.clone())
        }

        /// The copy is at its place already.
        #[expect(clippy::unused_self, reason = "as where the copy is made elsewhere")]
        #[expect(clippy::unnecessary_wraps, reason = "likewise")]
        pub(crate) fn place(self) -> Result<(), Failure> {
            Ok(())
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test that panics says where")]
    fn allowed(dir: &Path) -> AllowedDirs {
        AllowedDirs::open(&[dir]).unwrap()
    }

    /// A folder that is allowed, with a secret beside it.
    #[expect(clippy::unwrap_used, reason = "a test that panics says where")]
    fn surroundings() -> tempfile::TempDir {
        let all = tempfile::tempdir().unwrap();
        fs::create_dir_all(all.path().join("in/sub")).unwrap();
        fs::create_dir(all.path().join("out")).unwrap();
        fs::write(all.path().join("out/secret"), "secret").unwrap();
        fs::write(all.path().join("in/sub/file"), "file").unwrap();
        all
    }

    #[test]
    fn what_is_below_an_allowed_folder_is_opened_by_either_kind_of_path() {
        let all = surroundings();
        let dirs = allowed(&all.path().join("in"));
        for path in [
            "sub/file".into(),
            "./sub/./file".into(),
            all.path().join("in/sub/file"),
        ] {
            let mut file = dirs.below(&path).unwrap().open().unwrap();
            assert_eq!(io::read_to_string(&mut file).unwrap(), "file", "{path:?}");
        }
        assert!(dirs.below(Path::new(".")).unwrap().open().is_ok());
    }

    #[test]
    fn nothing_leads_outside() {
        let all = surroundings();
        let inside = all.path().join("in");
        symlink("../out", inside.join("folder")).unwrap();
        symlink(all.path().join("out/secret"), inside.join("link")).unwrap();
        symlink("/proc/self/root", inside.join("root")).unwrap();
        let dirs = allowed(&inside);
        let secret = all.path().join("out/secret");
        let by_root = format!("/proc/self/root{}", secret.display());
        let by_link = format!("root{}", secret.display());
        for path in [
            "../out/secret",
            "sub/../../out/secret",
            "folder/secret",
            "link",
            "folder",
            &by_root,
            &by_link,
            "/",
            "/etc/passwd",
            &secret.display().to_string(),
        ] {
            let opened = dirs.below(Path::new(path)).and_then(|below| below.open());
            assert_eq!(opened.map(drop).unwrap_err().code, "forbidden", "{path}");
            let name = Some(std::ffi::OsStr::new("new"));
            let staged = dirs
                .below(Path::new(path))
                .and_then(|below| below.stage(name, true));
            assert!(staged.is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(all.path().join("out")).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_a_copy_is_neither_followed_nor_replaced() {
        let all = surroundings();
        let inside = all.path().join("in");
        let dirs = allowed(&inside);
        let below = dirs.below(Path::new("new")).unwrap();
        let stage = below.stage(None, false).unwrap();
        fs::write(stage.path().unwrap(), "copy").unwrap();
        symlink(all.path().join("out/secret"), inside.join("new")).unwrap();
        assert_eq!(stage.place().unwrap_err().code, "forbidden");
        assert_eq!(
            fs::read_to_string(all.path().join("out/secret")).unwrap(),
            "secret"
        );
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 2);
    }

    #[test]
    fn a_killed_copy_leaves_nothing_once_there_is_another() {
        let all = surroundings();
        let inside = all.path().join("in");
        fs::create_dir(inside.join(".fastvm-copy-old")).unwrap();
        let dirs = allowed(&inside);
        let below = dirs.below(Path::new("new")).unwrap();
        let at_work = below.stage(None, false).unwrap();
        assert!(!inside.join(".fastvm-copy-old").exists());
        let second = below.stage(None, false).unwrap();
        assert!(at_work.path().unwrap().parent().unwrap().exists());
        drop((at_work, second));
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);
    }

    #[test]
    fn without_an_allowed_folder_the_option_is_named() {
        let failure = AllowedDirs::default().below(Path::new("x")).unwrap_err();
        assert!(failure.hint.unwrap().contains("--allow-dir"));
    }
}
