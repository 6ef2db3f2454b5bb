//! `fastvm`: microVMs from the command line, in the cloud or on this machine.

pub mod local;
pub mod secret;
pub mod transfer;

use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
