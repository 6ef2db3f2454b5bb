//! What goes into every archive and package beside the program.

use std::path::PathBuf;
use std::process::Command;

use crate::archive::Files;
use crate::binary::write_man_pages;
use crate::tool::{CARGO_ABOUT, run};
use crate::workspace::{Workspace, empty_folder};
use crate::{Error, about};

const LICENCES: &str = "THIRD-PARTY-LICENSES.txt";

/// Makes manual pages and third-party licences in the folder where the metadata of packages expects them.
/// Returns all files by their names in archives.
pub(crate) fn make(workspace: &Workspace) -> Result<Files, Error> {
    let folder = folder(workspace);
    empty_folder(&folder)?;
    write_man_pages(workspace, &folder.join("man"))?;
    write_licences(workspace)?;
    let mut files = Files::default();
    files.add("LICENSE", &workspace.root.join("LICENSE"))?;
    files.add("README.md", &workspace.root.join("README.md"))?;
    files.add(LICENCES, &folder.join(LICENCES))?;
    files.add_folder("man", &folder.join("man"))?;
    // Written by hand or generated, and held to what the program prints by its tests.
    files.add_folder("completions", &workspace.root.join("completions"))?;
    Ok(files)
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.work.join("files")
}

fn write_licences(workspace: &Workspace) -> Result<(), Error> {
    let path = folder(workspace).join(LICENCES);
    let mut command = Command::new(CARGO_ABOUT.program);
    command.args([
        "generate",
        "--locked",
        "--offline",
        "--fail",
        "--manifest-path",
    ]);
    command.arg(workspace.root.join("Cargo.toml"));
    command
        .arg("--config")
        .arg(workspace.packaging("about.toml"));
    command.arg("--output-file").arg(&path);
    run(command.arg(workspace.packaging("about.hbs")))?;
    std::fs::metadata(&path).map_err(about(&path))?;
    Ok(())
}
