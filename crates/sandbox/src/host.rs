use std::cell::OnceCell;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use uuid::Uuid;

use super::boot::{self, Booter};
use super::cgroup::Groups;
use super::error::Error;
use super::image::{self, Image};
use super::machine::Machine;
use super::spec::{BootSpec, HostOptions, LimitsSupport, Mode};
use super::tree::Owners;
use super::{
    control_socket, copier, copy, disk_lock, remove_tree, self_test, stray, volume_owners,
};

/// What this computer can do for its user: makes machines and the trees that they live on.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) program: PathBuf,
    pub(super) mark: String,
    pub(super) image: Image,
    pub(super) owners: Owners,
    pub(super) groups: Groups,
}

impl Host {
    /// Finds out by trying whether machines work here. What was found is kept in the data folder
    /// until the next boot of this computer, so all but the first call are cheap.
    ///
    /// # Errors
    /// [`Error::Unsupported`] says what is missing and how to get it.
    pub fn detect(options: HostOptions) -> Result<Self, Error> {
        let images = options.data.join("images");
        remove_tree::ensure_folder(&images, 0o700)?;
        let images = fs::canonicalize(&images).map_err(Error::file(&images))?;
        let owners = Owners::of_this_user();
        let mut host = Self {
            program: options.program,
            mark: mark_of(&options.data),
            image: image::prepare(&images, &options.rootfs, owners)?,
            owners,
            groups: Groups::detect(),
        };
        self_test::run_once(&mut host, &images, &options.rootfs)?;
        Ok(host)
    }

    /// Starts and ends a machine, whatever [`Host::detect`] knows of earlier ones.
    ///
    /// # Errors
    /// [`Error::Unsupported`] says what is missing and how to get it.
    pub fn try_machine(&self, images: &Path) -> Result<(), Error> {
        self_test::run(self, images)
    }

    /// Returns the mark of the data folder: the first argument of each process that runs a machine of it.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Returns whether a machine runs on a disk; it need not answer.
    ///
    /// # Errors
    /// If the disk cannot be opened. One that is not there is in no use.
    pub fn is_in_use(&self, upper: &Path) -> Result<bool, Error> {
        disk_lock::is_locked(upper)
    }

    /// Removes the sockets, notes and control groups that a machine has left that ended by itself.
    pub fn remove_traces(&self, run: &Path) {
        control_socket::remove_traces(run);
    }

    /// Removes the control groups that machines have left, except those that `is_known` knows by id.
    pub fn remove_stale_groups(&self, is_known: impl Fn(&str) -> bool) {
        let inits = OnceCell::new();
        // Some groups of a machine are empty while no program runs in it.
        let is_alive = |id: &str| {
            let inits = inits.get_or_init(|| stray::find_marked_inits(&self.mark));
            inits
                .as_ref()
                .map_or(true, |all| all.iter().any(|init| init.id() == Some(id)))
        };
        self.groups
            .remove_stale(&self.mark, |id| is_known(id) || is_alive(id));
    }

    /// The program that is run again as booter and init.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// How users inside map to users outside.
    pub fn mode(&self) -> Mode {
        match self.owners {
            Owners::Same => Mode::Rootless,
            Owners::From(_) => Mode::IdMapped,
        }
    }

    /// What holds machines to their limits here.
    pub fn limits(&self) -> LimitsSupport {
        self.groups.support
    }

    /// Makes the folder of a volume; it belongs to root inside.
    pub fn create_volume(&self, path: &Path) -> Result<(), Error> {
        fs::DirBuilder::new()
            .mode(0o755)
            .create(path)
            .and_then(|()| self.owners.give(path, 0, 0))
            .map_err(Error::file(path))
    }

    /// Gives the files of a volume to users of machines, where an earlier version gave them to those of this computer.
    /// One that is converted already costs one look.
    pub fn convert_volume(&self, path: &Path) -> Result<(), Error> {
        match self.owners.first_user() {
            Some(first) => volume_owners::convert(path, first),
            None => Ok(()),
        }
    }

    /// Starts the process that will build a machine, which takes a while. It ends if it is dropped.
    pub fn start_booter(&self, id: Uuid) -> Result<Booter, Error> {
        Booter::start(self, id)
    }

    /// Starts a machine and waits until its init answers.
    ///
    /// # Errors
    /// Nothing is left of a machine that did not start.
    pub fn boot(&self, spec: &BootSpec) -> Result<Machine, Error> {
        self.boot_with(self.start_booter(spec.id)?, spec)
    }

    /// The same with a booter that was started before, for the same id.
    pub fn boot_with(&self, booter: Booter, spec: &BootSpec) -> Result<Machine, Error> {
        boot::boot(self, booter, spec)
    }

    /// Makes a new, empty upper.
    pub fn create_disk(&self, upper: &Path) -> Result<(), Error> {
        // Nobody else may get at the programs in it that run as their owner.
        remove_tree::ensure_folder(upper, 0o700)?;
        for tree in &self.image.trees {
            let path = upper.join(tree.name);
            fs::create_dir(&path).map_err(Error::file(&path))?;
            self.owners.give(&path, 0, 0).map_err(Error::file(&path))?;
        }
        Ok(())
    }

    /// Copies an upper or a layer to a place where nothing is yet: owners, modes, times, extended
    /// attributes, whiteouts, hard links and holes stay what they are. Its machine must be stopped. Nothing is left of a copy
    /// that failed.
    pub fn copy_tree(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let copied = match self.owners {
            Owners::Same => copier::copy_tree(&self.program, from, to),
            Owners::From(_) => copy::copy_tree(from, to, copy::Ownership::Kept),
        };
        if copied.is_err() {
            remove_tree::remove_tree(to)?;
        }
        copied
    }

    /// Removes a tree of ours, however unreadable; one that is missing is fine.
    pub fn remove_tree(&self, path: &Path) -> Result<(), Error> {
        remove_tree::remove_tree(path)
    }
}

/// Returns what tells the machines of one data folder from those of others: 16 digits.
pub fn mark_of(data: &Path) -> String {
    // A folder that is gone still has a name.
    let path = fs::canonicalize(data)
        .or_else(|_| std::path::absolute(data))
        .unwrap_or_else(|_| data.to_owned());
    let hash = digest(&SHA256, path.as_os_str().as_bytes());
    hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
