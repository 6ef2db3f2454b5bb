//! Attacks from inside a machine, one a file. Each test asserts that the attack fails, and that its
//! probe works: the same call succeeds outside, or inside on something that it may change. So no test
//! passes because a tool is missing.
//!
//! The probe is this test binary itself (see [`probe`]). Root repeats everything as an ordinary user.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the whole crate is tests")]

mod counters;
mod deadline;
mod descriptors;
mod double_boot;
mod host_files;
mod init_death;
mod init_process;
mod kernel_calls;
mod kernel_files;
mod kernel_limits;
#[path = "../sandbox/lab.rs"]
mod lab;
mod leftovers;
#[path = "../common/limit.rs"]
mod limit;
mod limits;
mod masks;
mod network;
mod pause;
mod planted_paths;
mod probe;
mod proc_shadow;
mod program_file;
mod syscalls;
mod verbs;
mod volumes;

use std::process::Command;

/// Set in the run that root starts as an ordinary user.
const REPEATED: &str = "ESCAPE_TESTS_REPEATED";

/// Does nothing, unless its environment names an attack: then this process is the probe.
#[test]
fn probe_entry() {
    probe::attack_if_asked();
}

#[test]
fn every_attack_fails_for_an_ordinary_user_too() {
    if !lab::is_root() || std::env::var_os(REPEATED).is_some() {
        return;
    }
    let data = std::env::temp_dir().join(format!("fastvm-data-{}", std::process::id()));
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(1000), Some(1000)).unwrap();
    let files = host_files::Shared::of_user("/usr/local/share", 1000);
    let output = Command::new("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .arg("--test-threads=2")
        .env(REPEATED, "1")
        .env(lab::DATA, &data)
        .env(host_files::PREPARED, &files.folder)
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
