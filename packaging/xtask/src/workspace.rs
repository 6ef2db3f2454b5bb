//! What is known of the checkout: where it is, and what the release is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tool::output;
use crate::{Error, about};

pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// The folders of all crates.
    pub(crate) crates: Vec<PathBuf>,
    /// Cargo's, which `CARGO_TARGET_DIR` may put anywhere.
    pub(crate) cargo_target: PathBuf,
    /// What is released, and nothing else.
    pub(crate) distrib: PathBuf,
    /// What is made on the way.
    pub(crate) work: PathBuf,
    pub(crate) version: String,
    pub(crate) description: String,
    /// Where the source and the releases are; `None` while that is not known.
    pub(crate) repository: Option<String>,
    /// The time of the commit in seconds since 1970: the time of everything that is made.
    pub(crate) time: u64,
}

impl Workspace {
    /// Asks cargo and git.
    pub(crate) fn read(repository: Option<String>) -> Result<Self, Error> {
        let metadata = output(Command::new(cargo()).args([
            "metadata",
            "--no-deps",
            "--locked",
            "--format-version=1",
        ]))?;
        let metadata: Value = serde_json::from_str(&metadata)?;
        let packages = metadata["packages"].as_array().ok_or("no packages")?;
        let package = packages
            .iter()
            .find(|package| package["name"] == "fastvm")
            .ok_or("there is no package `fastvm` here")?;
        let manifests = packages
            .iter()
            .map(|package| PathBuf::from(text(&package["manifest_path"])));
        let folder = |manifest: PathBuf| manifest.parent().map(Path::to_owned);
        let root = PathBuf::from(text(&metadata["workspace_root"]));
        let repository = repository.or_else(|| package["repository"].as_str().map(str::to_owned));
        Ok(Self {
            crates: manifests.filter_map(folder).collect(),
            cargo_target: PathBuf::from(text(&metadata["target_directory"])),
            distrib: root.join("target/distrib"),
            work: root.join("target/distrib-work"),
            version: text(&package["version"]),
            description: text(&package["description"]),
            repository: repository.map(|url| url.trim_end_matches('/').to_owned()),
            time: commit_time(&root)?,
            root,
        })
    }

    /// The folder `packaging` of the checkout.
    pub(crate) fn packaging(&self, path: &str) -> PathBuf {
        self.root.join("packaging").join(path)
    }

    /// The path of a file of the release.
    pub(crate) fn artefact(&self, name: &str) -> PathBuf {
        self.distrib.join(name)
    }
}

/// Cargo, as it started this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `SOURCE_DATE_EPOCH`, as others who build what is to be the same set it, or the time of the commit.
fn commit_time(root: &Path) -> Result<u64, Error> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(time) => time,
        Err(_) => {
            output(
                Command::new("git")
                    .current_dir(root)
                    .args(["log", "-1", "--format=%ct"]),
            )?
        }
    };
    time.parse()
        .map_err(|_| format!("`{time}` is no time in seconds since 1970").into())
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(about(path))
}

/// Writes a file, and the folders above it.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(about(folder))?;
    }
    std::fs::write(path, content).map_err(about(path))
}

/// Makes a folder anew.
pub(crate) fn empty_folder(folder: &Path) -> Result<(), Error> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(about(folder))?;
    }
    std::fs::create_dir_all(folder).map_err(about(folder))
}
