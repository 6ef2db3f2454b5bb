//! The source of std, for systems that rustup has not installed std for.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::target::{Compiler, Target};
use crate::tool::{output, run};
use crate::workspace::Workspace;
use crate::{Error, about};

/// The folder `library` to build std from. `None` if std of this system is installed.
pub(crate) fn needed(workspace: &Workspace, target: &Target) -> Result<Option<PathBuf>, Error> {
    let installed = output(Command::new("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        target.triple,
    ]))?;
    if Path::new(&installed).is_dir() {
        return Ok(None);
    }
    let library = output(&mut Command::new(workspace.root.join(".ci/std-source")))?;
    if library.is_empty() {
        let triple = target.triple;
        return Err(format!("std of {triple} is missing: rustup target add {triple}").into());
    }
    Ok(Some(PathBuf::from(library)))
}

/// Makes the two objects that a program of mingw begins and ends with, as rustup's std has them. Returns their folder.
pub(crate) fn windows_objects(
    workspace: &Workspace,
    library: &Path,
    target: &Target,
) -> Result<Option<PathBuf>, Error> {
    if target.compiler != Compiler::Mingw {
        return Ok(None);
    }
    let folder = workspace.work.join("objects").join(target.triple);
    std::fs::create_dir_all(&folder).map_err(about(&folder))?;
    for name in ["rsbegin", "rsend"] {
        let source = library.join("rtstartup").join(format!("{name}.rs"));
        let object = folder.join(format!("{name}.o"));
        let mut rustc = Command::new("rustc");
        rustc.env("RUSTC_BOOTSTRAP", "1");
        rustc.args(["--emit=obj", "--target", target.triple, "-o"]);
        run(rustc.arg(object).arg(source))?;
    }
    Ok(Some(folder))
}
