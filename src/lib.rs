//! `fastvm`: microVMs from the command line, in the cloud or on this machine.

#[cfg(target_os = "linux")]
pub mod local;
pub mod secret;
pub mod wire;

use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = local::sandbox::intercept() {
        return code;
    }
    ExitCode::SUCCESS
}
