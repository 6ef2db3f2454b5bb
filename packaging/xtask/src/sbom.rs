//! The bill of materials: which crates of which versions the program is made of.

use std::process::Command;

use crate::tool::run;
use crate::workspace::{self, Workspace, cargo, read_text};
use crate::{Error, about};

const NAME: &str = "fastvm-sbom";

/// Writes it as CycloneDX JSON, for all systems together.
pub(crate) fn write(workspace: &Workspace) -> Result<(), Error> {
    let mut command = Command::new(cargo());
    command.current_dir(&workspace.root);
    command.env("SOURCE_DATE_EPOCH", workspace.time.to_string());
    command.args(["cyclonedx", "--format=json", "--target=all"]);
    run(command.args(["--override-filename", NAME]))?;
    let name = format!("{NAME}.json");
    // It writes one beside the manifest of every crate.
    for folder in workspace
        .crates
        .iter()
        .filter(|folder| **folder != workspace.root)
    {
        let path = folder.join(&name);
        std::fs::remove_file(&path).map_err(about(&path))?;
    }
    let path = workspace.root.join(&name);
    // No path of this machine stays.
    let text = read_text(&path)?.replace(&workspace.root.display().to_string(), "/fastvm");
    std::fs::remove_file(&path).map_err(about(&path))?;
    let artefact = format!("fastvm-{}-sbom.cdx.json", workspace.version);
    workspace::write(&workspace.artefact(&artefact), text)
}
