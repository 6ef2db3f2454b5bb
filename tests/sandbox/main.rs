//! The sandbox, with the real binary as booter and init, as whoever runs the tests. Root repeats them
//! as an ordinary user.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the whole crate is tests")]

mod bench;
mod capabilities;
mod console;
mod copies;
mod etc;
mod exec;
mod files;
mod isolation;
mod lab;
mod layers;
mod life;
#[path = "../common/limit.rs"]
mod limit;
mod limits;
mod ports;
mod syscalls;
mod volumes;

use std::process::Command;

/// Set in the run that root starts as an ordinary user.
const REPEATED: &str = "SANDBOX_TESTS_REPEATED";

#[test]
fn everything_holds_for_an_ordinary_user_too() {
    if !lab::is_root() || std::env::var_os(REPEATED).is_some() {
        return;
    }
    let data = std::env::temp_dir().join(format!("fastvm-data-{}", std::process::id()));
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(1000), Some(1000)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .arg("--test-threads=2")
        .env(REPEATED, "1")
        .env(lab::DATA, &data)
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
