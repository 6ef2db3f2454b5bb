//! `fastvm`: microVMs from the command line, in the cloud or on this machine.

pub mod local;

use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    if let Some(code) = local::sandbox::intercept() {
        return code;
    }
    ExitCode::SUCCESS
}
