//! What a user sees, in one binary: one link instead of a dozen. One file a noun or verb.
//!
//! The sandbox and the transfer engine have test binaries of their own, as they can be lifted out, and
//! so have the attacks from inside, whose binary is also what attacks.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics says where, which is what a test is for"
)]

mod common;

mod agents;
mod api;
mod builds;
mod command_line;
mod completion;
mod config;
mod console;
mod console_server;
#[cfg(target_os = "linux")]
mod contract;
mod cp;
mod doctor;
mod drop_in;
#[cfg(target_os = "linux")]
mod engine;
mod errors;
mod exec;
mod exec_input;
mod exec_options;
mod files;
mod firewall;
mod fork;
mod forward;
mod full_pipes;
mod generated;
mod if_exists;
mod jobs;
mod layout;
mod lease;
mod live;
mod local;
mod matrix;
mod mcp;
mod nouns;
mod odd_answers;
mod output_options;
mod prune;
mod python;
mod run;
mod run_lost;
mod run_signals;
mod server;
mod several_vms;
mod snapshot;
mod ssh;
mod streams;
mod top;
mod tour;
mod vm;
#[cfg(target_os = "linux")]
mod watch;

/// A test file that nobody lists would never run.
#[test]
fn every_test_file_is_listed_here() {
    let listed = include_str!("suite.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        if ["suite", "escape", "python", "sandbox", "transfer"].contains(&module) {
            continue;
        }
        assert!(
            listed.contains(&format!("mod {module};")),
            "tests/{name} is not listed in tests/suite.rs"
        );
    }
}
