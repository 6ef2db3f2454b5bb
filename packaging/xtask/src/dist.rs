//! `cargo xtask dist`: everything that a release consists of.

use crate::archive::Files;
use crate::options::Options;
use crate::target::Target;
use crate::tool::{CARGO_ABOUT, CARGO_CYCLONEDX};
use crate::workspace::{Workspace, empty_folder};
use crate::{Error, binary, channels, checksums, linux_packages, npm, sbom, shared_files};

/// Makes the release, or only what is made from archives that are there.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let workspace = Workspace::read(options.repository.clone())?;
    check_tools(&options.targets)?;
    if !options.targets.is_empty() {
        empty_folder(&workspace.distrib)?;
        let files = shared_files::make(&workspace)?;
        for target in &options.targets {
            make_target(&workspace, target, &options.profile, files.clone())?;
        }
    }
    sbom::write(&workspace)?;
    npm::write_starter(&workspace)?;
    channels::make(&workspace)?;
    checksums::write_sums(&workspace)?;
    println!("{}", workspace.distrib.display());
    Ok(())
}

/// Fails before the first long build if a program is missing.
fn check_tools(targets: &[&Target]) -> Result<(), Error> {
    CARGO_CYCLONEDX.require()?;
    if !targets.is_empty() {
        CARGO_ABOUT.require()?;
    }
    if targets.iter().any(|target| target.is_linux()) {
        linux_packages::check_tools()?;
    }
    targets
        .iter()
        .try_for_each(|target| binary::check_tools(target))
}

fn make_target(
    workspace: &Workspace,
    target: &Target,
    profile: &str,
    mut files: Files,
) -> Result<(), Error> {
    let program = binary::build(workspace, target, profile)?;
    files.add_program(target.program(), &program)?;
    let archive = workspace.artefact(&target.archive(&workspace.version));
    let files = files.below(&target.archive_stem(&workspace.version));
    files.write(&archive, workspace.time)?;
    if target.is_linux() {
        linux_packages::make(workspace, target, profile)?;
    }
    npm::write_program_package(workspace, target, &program)
}
