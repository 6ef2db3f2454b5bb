//! Transfers through fakes: a guest that runs the scripts with the host's shells, and a storage that is a folder.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod choices;
mod continued;
mod faults;
mod files;
#[path = "../common/limit.rs"]
mod limit;
mod matrix;
mod modes;
mod relays;
mod shards;
mod sync;
mod trees;
mod world;

/// Runs one test again as an ordinary user, from root.
fn run_as_user(test: &str) {
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
