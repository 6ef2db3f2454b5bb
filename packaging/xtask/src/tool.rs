//! Programs that a release is made with.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::Error;

/// A program beside cargo, and how to get it.
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) install: &'static str,
}

pub(crate) const CARGO_ABOUT: Tool = Tool {
    program: "cargo-about",
    install: "cargo install --locked cargo-about --features cli",
};
pub(crate) const CARGO_CYCLONEDX: Tool = Tool {
    program: "cargo-cyclonedx",
    install: "cargo install --locked cargo-cyclonedx",
};
pub(crate) const CARGO_DEB: Tool = Tool {
    program: "cargo-deb",
    install: "cargo install --locked cargo-deb",
};
pub(crate) const CARGO_GENERATE_RPM: Tool = Tool {
    program: "cargo-generate-rpm",
    install: "cargo install --locked cargo-generate-rpm",
};
pub(crate) const MINGW: Tool = Tool {
    program: "x86_64-w64-mingw32-gcc",
    install: "apt-get install gcc-mingw-w64-x86-64",
};

impl Tool {
    /// Fails with how to get it if it cannot be started.
    pub(crate) fn require(&self) -> Result<(), Error> {
        if is_installed(self.program) {
            Ok(())
        } else {
            Err(format!("{} is missing: {}", self.program, self.install).into())
        }
    }
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command.arg("--version");
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok()
}

/// The program `zig`: the one of the path, or that of the Python package.
pub(crate) fn find_zig() -> Result<String, Error> {
    if is_installed("zig") {
        return Ok("zig".to_owned());
    }
    let ask = "import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), 'zig'))";
    let answer = Command::new("python3").args(["-c", ask]).output();
    match answer {
        Ok(answer) if answer.status.success() => {
            Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        _ => Err("zig is missing: pip install ziglang".into()),
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    println!("+ {}", shown(command));
    let status = command.status().map_err(|error| failed(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed: {status}", shown(command)).into())
    }
}

/// Runs a command to its end and returns what it printed, without white space at the end.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(command, &error))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", shown(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn failed(command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().display();
    match error.kind() {
        ErrorKind::NotFound => format!("{program} is missing").into(),
        _ => format!("{program}: {error}").into(),
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
