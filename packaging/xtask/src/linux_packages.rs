//! Packages of Debian and of distributions with RPM. What is in them stands in `Cargo.toml`.

use std::process::Command;

use crate::Error;
use crate::target::Target;
use crate::tool::{CARGO_DEB, CARGO_GENERATE_RPM, run};
use crate::workspace::{Workspace, cargo};

/// Fails if a program is missing.
pub(crate) fn check_tools() -> Result<(), Error> {
    CARGO_DEB.require()?;
    CARGO_GENERATE_RPM.require()
}

/// Makes both packages of a program that is built.
pub(crate) fn make(workspace: &Workspace, target: &Target, profile: &str) -> Result<(), Error> {
    let (debian, rpm) = match target.npm.1 {
        "arm64" => ("arm64", "aarch64"),
        _ => ("amd64", "x86_64"),
    };
    let version = &workspace.version;
    let time = workspace.time.to_string();
    let package = |tool: &str, file: String| {
        let mut command = Command::new(cargo());
        command.current_dir(&workspace.root);
        command.env("SOURCE_DATE_EPOCH", &time);
        command.args([tool, "--target", target.triple, "--profile", profile]);
        command.arg("--output").arg(workspace.artefact(&file));
        command
    };
    let mut deb = package("deb", format!("fastvm_{version}-1_{debian}.deb"));
    run(deb.args(["--locked", "--no-build", "--no-strip"]))?;
    let mut rpm_package = package("generate-rpm", format!("fastvm-{version}-1.{rpm}.rpm"));
    run(rpm_package.args(["--auto-req", "disabled", "--source-date", &time]))
}
