//! Building the program for one system, so that two builds of one commit are equal byte for byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::std_source;
use crate::target::{Compiler, Target};
use crate::tool::{self, MINGW, output, run};
use crate::workspace::{Workspace, cargo};

/// Fails if something is missing that the build needs.
pub(crate) fn check_tools(target: &Target) -> Result<(), Error> {
    match target.compiler {
        Compiler::Zig(_) => tool::find_zig().map(|_| ()),
        Compiler::Mingw => MINGW.require(),
        Compiler::Native => Ok(()),
    }
}

/// Builds the program. Returns its path.
pub(crate) fn build(
    workspace: &Workspace,
    target: &Target,
    profile: &str,
) -> Result<PathBuf, Error> {
    let library = std_source::needed(workspace, target)?;
    let mut build = Build::new(workspace, library.as_deref())?;
    match target.compiler {
        Compiler::Zig(zig_target) => build.use_zig(workspace, target, zig_target)?,
        Compiler::Native if target.is_windows() => {
            build.rust_flags.push("-Ctarget-feature=+crt-static".into());
        }
        Compiler::Mingw | Compiler::Native => {}
    }
    if let Some(library) = &library {
        build.use_std_source(library);
        if let Some(folder) = std_source::windows_objects(workspace, library, target)? {
            let folder = folder.display();
            build.rust_flags.push(format!("-Lnative={folder}"));
        }
    }
    run(&mut build.finish(workspace, target, profile))?;
    let folder = match profile {
        "dev" => "debug",
        other => other,
    };
    let program = workspace.cargo_target.join(target.triple).join(folder);
    Ok(program.join(target.program()))
}

struct Build {
    cargo: Command,
    rust_flags: Vec<String>,
    c_flags: Vec<String>,
}

impl Build {
    /// A build in which no path of this machine stays.
    fn new(workspace: &Workspace, library: Option<&Path>) -> Result<Self, Error> {
        let home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir()
                .ok_or("there is neither CARGO_HOME nor a home")?
                .join(".cargo"),
        };
        let mut build = Self {
            cargo: Command::new(cargo()),
            rust_flags: Vec::new(),
            c_flags: Vec::new(),
        };
        // Of two that fit, the later holds.
        build.rename(&workspace.root, "/fastvm");
        build.rename(&workspace.cargo_target, "/fastvm/target");
        build.rename(&home, "/cargo");
        if let Some(library) = library {
            build.rename(library, "/std");
        }
        Ok(build)
    }

    fn rename(&mut self, path: &Path, name: &str) {
        let path = path.display();
        self.rust_flags
            .push(format!("--remap-path-prefix={path}={name}"));
        self.c_flags
            .push(format!("-ffile-prefix-map={path}={name}"));
    }

    fn use_zig(
        &mut self,
        workspace: &Workspace,
        target: &Target,
        zig_target: &str,
    ) -> Result<(), Error> {
        let zig = tool::find_zig()?;
        let folder = workspace.work.join("zig").join(target.triple);
        let compiler = folder.join("cc");
        let archiver = folder.join("ar");
        write_script(&compiler, &compiler_script(&zig, zig_target))?;
        write_script(&archiver, &format!("#!/bin/sh\nexec '{zig}' ar \"$@\"\n"))?;
        let name = target.in_variables();
        self.cargo.env(format!("CC_{name}"), &compiler);
        self.cargo.env(format!("AR_{name}"), &archiver);
        let linker = format!("CARGO_TARGET_{}_LINKER", name.to_uppercase());
        self.cargo.env(linker, &compiler);
        // Zig brings musl and libunwind.
        self.rust_flags.push("-Clink-self-contained=no".into());
        Ok(())
    }

    fn use_std_source(&mut self, library: &Path) {
        // -Zbuild-std is for nightly compilers; the others need to be asked twice.
        self.cargo.env("RUSTC_BOOTSTRAP", "1");
        self.cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
    }

    fn finish(mut self, workspace: &Workspace, target: &Target, profile: &str) -> Command {
        let name = target.in_variables();
        let rust_flags = format!("CARGO_TARGET_{}_RUSTFLAGS", name.to_uppercase());
        // These would hide the flags of the target.
        self.cargo.env_remove("RUSTFLAGS");
        self.cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
        self.cargo.env(rust_flags, self.rust_flags.join(" "));
        if !target.triple.ends_with("-msvc") {
            self.cargo
                .env(format!("CFLAGS_{name}"), self.c_flags.join(" "));
        }
        self.cargo
            .env("SOURCE_DATE_EPOCH", workspace.time.to_string());
        self.cargo.current_dir(&workspace.root);
        self.cargo
            .args(["build", "--locked", "--package=fastvm", "--bin=fastvm"]);
        self.cargo
            .args(["--profile", profile, "--target", target.triple]);
        let builds_std = self
            .cargo
            .get_envs()
            .any(|(name, _)| name == "__CARGO_TESTS_ONLY_SRC_ROOT");
        if builds_std {
            self.cargo.arg("-Zbuild-std=std,panic_abort");
        }
        self.cargo
    }
}

/// Drops the target in Rust's words, for which zig has its own.
fn compiler_script(zig: &str, zig_target: &str) -> String {
    format!(
        r#"#!/bin/sh
for word do
    shift
    case $word in
        --target=*) ;;
        *) set -- "$@" "$word" ;;
    esac
done
exec '{zig}' cc -target {zig_target} "$@"
"#
    )
}

#[cfg(unix)]
fn write_script(path: &Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    use crate::workspace::write;

    // Written anew, it would make cargo build anew what was built with it.
    if !std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        write(path, text)?;
    }
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, executable).map_err(crate::about(path))
}

#[cfg(not(unix))]
fn write_script(_: &Path, _: &str) -> Result<(), Error> {
    Err("programs for Linux are built on Linux".into())
}

/// Runs the program of this system, built without haste, once.
pub(crate) fn write_man_pages(workspace: &Workspace, folder: &Path) -> Result<(), Error> {
    let mut program = Command::new(cargo());
    program.current_dir(&workspace.root);
    program.args(["run", "--quiet", "--locked", "--package=fastvm", "--"]);
    output(program.args(["man", "--dir"]).arg(folder)).map(|_| ())
}
