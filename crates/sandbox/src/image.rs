//! The lowest layers: what of this computer a machine sees, and the base tree that holds the rest.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::etc;
use super::hidden;
use super::message::LowerKind;
use super::remove_tree;
use super::spec::Rootfs;
use super::tree::Owners;

/// Changes when base trees look different, so that an older one is not taken.
const FORMAT: u32 = 2;

/// What lies below every machine.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// The writable trees; the first is `/`.
    pub(super) trees: Vec<ImageTree>,
    /// Folders of this computer that are the same inside, read-only.
    pub(super) binds: Vec<PathBuf>,
    /// What is covered in them.
    pub(super) hidden: Vec<PathBuf>,
    /// An empty folder to mount on.
    pub(super) scratch: PathBuf,
}

/// A writable tree, and where an upper keeps its changes.
#[derive(Debug, Clone)]
pub(super) struct ImageTree {
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    /// Top first.
    pub(super) lowers: Vec<(PathBuf, LowerKind)>,
}

/// Top folders that hold the system: each is a link, a folder, or missing.
const SYSTEM: [(&str, &str); 7] = [
    ("usr", "/usr"),
    ("bin", "/bin"),
    ("sbin", "/sbin"),
    ("lib", "/lib"),
    ("lib32", "/lib32"),
    ("lib64", "/lib64"),
    ("libx32", "/libx32"),
];
/// Folders that are made fresh, with their modes.
const FRESH: [(&str, u32); 27] = [
    ("root", 0o700),
    ("tmp", 0o1777),
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("run", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("opt", 0o755),
    ("srv", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/cache/apt", 0o755),
    ("var/cache/apt/archives", 0o755),
    ("var/cache/apt/archives/partial", 0o755),
    ("var/lib", 0o755),
    ("var/lib/apt", 0o755),
    ("var/lib/apt/lists", 0o755),
    ("var/lib/apt/lists/partial", 0o755),
    ("var/log", 0o755),
    ("var/log/apt", 0o755),
    ("var/mail", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
    ("usr", 0o755),
];
/// What lies on every root file system, an unpacked one too.
const FRAME: [&str; 7] = ["root", "tmp", "proc", "sys", "dev", "run", "etc"];
/// The name of the tree that is `/`; every layer has it.
pub(super) const ROOT_TREE: &str = "root";
/// Stores of systems that keep their programs elsewhere.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];
const PACKAGES: &str = "/var/lib/dpkg";

/// Finds what this computer has and makes the base tree if it is not there yet.
pub(super) fn prepare(images: &Path, rootfs: &Rootfs, owners: Owners) -> Result<Image, Error> {
    let scratch = images.join("mnt");
    remove_tree::ensure_folder(&scratch, 0o755)?;
    match rootfs {
        Rootfs::Host => prepare_host(images, owners, scratch),
        Rootfs::Directory(path) => {
            let path = fs::canonicalize(path).map_err(Error::file(path))?;
            let base = base_tree(images, "frame", 0, &|root| build_frame(root, owners))?;
            Ok(Image {
                trees: vec![ImageTree {
                    name: ROOT_TREE,
                    target: "/",
                    lowers: vec![(base, LowerKind::Layer), (path, LowerKind::Rootfs)],
                }],
                binds: Vec::new(),
                hidden: Vec::new(),
                scratch,
            })
        }
    }
}

fn prepare_host(images: &Path, owners: Owners, scratch: PathBuf) -> Result<Image, Error> {
    let base = base_tree(images, "host", state_of_host(), &|root| {
        build_host(root, owners)
    })?;
    let mut image = Image {
        trees: vec![ImageTree {
            name: ROOT_TREE,
            target: "/",
            lowers: vec![(base, LowerKind::Layer)],
        }],
        binds: STORES
            .iter()
            .map(PathBuf::from)
            .filter(|store| store.is_dir())
            .collect(),
        hidden: Vec::new(),
        scratch,
    };
    let folders = SYSTEM
        .into_iter()
        .filter(|(_, target)| is_real_folder(Path::new(target)));
    // A data folder is for no machine, wherever it is.
    let is_shared = |data: &Path| {
        let shared = SYSTEM.iter().map(|(_, path)| *path).chain(STORES);
        shared.chain([PACKAGES]).any(|tree| data.starts_with(tree))
    };
    image.hidden.extend(
        images
            .parent()
            .filter(|data| is_shared(data))
            .map(Path::to_owned),
    );
    match owners {
        // Files of others belong to nobody inside, so writing above them could not work anyway.
        Owners::Same => {
            image
                .binds
                .extend(folders.map(|(_, target)| PathBuf::from(target)));
            let user = rustix::process::geteuid().as_raw();
            let note = images.join(format!("hidden-{user}"));
            image.hidden.extend(hidden::find(&image.binds, &note)?);
        }
        Owners::From(_) => {
            let packages =
                Some(("dpkg", PACKAGES)).filter(|(_, target)| is_real_folder(Path::new(target)));
            image
                .trees
                .extend(folders.chain(packages).map(|(name, target)| ImageTree {
                    name,
                    target,
                    lowers: vec![(PathBuf::from(target), LowerKind::Host)],
                }));
        }
    }
    Ok(image)
}

fn is_real_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Changes when the copy of `/etc` should be made anew.
fn state_of_host() -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in ["/etc", "/etc/passwd", "/etc/group", "/etc/ld.so.cache"] {
        if let Ok(found) = fs::symlink_metadata(path) {
            (found.mtime(), found.mtime_nsec(), found.size()).hash(&mut hasher);
        }
    }
    for (_, path) in SYSTEM {
        fs::read_link(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// The base tree of this kind and state; one that is made appears whole or not at all, whoever else
/// is making the same.
fn base_tree(
    images: &Path,
    kind: &str,
    state: u64,
    build: &dyn Fn(&Path) -> io::Result<()>,
) -> Result<PathBuf, Error> {
    let user = rustix::process::geteuid().as_raw();
    let path = images.join(format!("{kind}-{FORMAT}-{user}-{state:016x}"));
    if path.is_dir() {
        return Ok(path);
    }
    let fresh = images.join(format!("new-{}", uuid::Uuid::new_v4().simple()));
    let made =
        build(&fresh)
            .map_err(Error::file(&fresh))
            .and_then(|()| match fs::rename(&fresh, &path) {
                Err(_) if path.is_dir() => remove_tree::remove_tree(&fresh),
                result => result.map_err(Error::file(&path)),
            });
    if made.is_err() {
        remove_tree::remove_tree(&fresh)?;
    }
    made.map(|()| path)
}

fn build_frame(root: &Path, owners: Owners) -> io::Result<()> {
    owners.make_folder(root, 0o755)?;
    for (name, mode) in FRESH {
        if FRAME.contains(&name) {
            owners.make_folder(&root.join(name), mode)?;
        }
    }
    etc::write_common(&root.join("etc"), owners)
}

fn build_host(root: &Path, owners: Owners) -> io::Result<()> {
    owners.make_folder(root, 0o755)?;
    for (name, mode) in FRESH {
        owners.make_folder(&root.join(name), mode)?;
    }
    for (link, target) in [("var/run", "/run"), ("var/lock", "/run/lock")] {
        owners.make_link(&root.join(link), Path::new(target))?;
    }
    for (name, path) in SYSTEM.into_iter().skip(1) {
        let inside = root.join(name);
        match fs::read_link(path) {
            Ok(target) => owners.make_link(&inside, &target)?,
            Err(_) if is_real_folder(Path::new(path)) => owners.make_folder(&inside, 0o755)?,
            Err(_) => {}
        }
    }
    for store in STORES.into_iter().filter(|store| Path::new(store).is_dir()) {
        let inside = root.join(store.trim_start_matches('/'));
        fs::create_dir_all(&inside)?;
    }
    etc::copy(Path::new("/etc"), &root.join("etc"), owners)?;
    etc::write_common(&root.join("etc"), owners)
}

impl Owners {
    fn make_folder(self, path: &Path, mode: u32) -> io::Result<()> {
        fs::create_dir(path)?;
        self.give(path, 0, 0)?;
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
    }

    fn make_link(self, path: &Path, target: &Path) -> io::Result<()> {
        symlink(target, path)?;
        self.give(path, 0, 0)
    }
}
