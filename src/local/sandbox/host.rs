use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::cgroup::Groups;
use super::error::Error;
use super::image::{self, Image};
use super::machine::Machine;
use super::spec::{BootSpec, HostOptions, LimitsSupport, Mode};
use super::tree::Owners;
use super::{boot, copy, discard, trial};

/// What this computer can do for its user: makes machines and the trees that they live on.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) program: PathBuf,
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
        discard::ensure_folder(&images, 0o700)?;
        let images = fs::canonicalize(&images).map_err(Error::file(&images))?;
        let owners = Owners::of_this_user();
        let mut host = Self {
            program: options.program,
            image: image::prepare(&images, &options.rootfs, owners)?,
            owners,
            groups: Groups::detect(),
        };
        trial::run_once(&mut host, &images, &options.rootfs)?;
        Ok(host)
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
            .map_err(Error::file(path))
    }

    /// Starts a machine and waits until its init answers.
    ///
    /// # Errors
    /// Nothing is left of a machine that did not start.
    pub fn boot(&self, spec: &BootSpec) -> Result<Machine, Error> {
        boot::boot(self, spec)
    }

    /// Makes a new, empty upper.
    pub fn create_disk(&self, upper: &Path) -> Result<(), Error> {
        // Nobody else may get at the programs in it that run as their owner.
        discard::ensure_folder(upper, 0o700)?;
        for tree in &self.image.trees {
            let path = upper.join(tree.name);
            fs::create_dir(&path).map_err(Error::file(&path))?;
            self.owners.give(&path, 0, 0).map_err(Error::file(&path))?;
        }
        Ok(())
    }

    /// Copies an upper or a layer to a place where nothing is yet: owners, modes, times, extended
    /// attributes, whiteouts, hard links and holes stay what they are. Its machine must be stopped.
    pub fn copy_tree(&self, from: &Path, to: &Path) -> Result<(), Error> {
        copy::copy_tree(from, to)
    }

    /// Removes a tree of ours, however unreadable; one that is missing is fine.
    pub fn discard(&self, path: &Path) -> Result<(), Error> {
        discard::discard(path)
    }
}
