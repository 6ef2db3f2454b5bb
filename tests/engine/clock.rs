//! Clocks that are set, and computers that are started anew: TTLs count real time alone.

use std::process::Command;

use serde_json::Value;

use crate::common::{Home, Ran};

/// Shifts the clock that programs are shown by the seconds in a variable.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, id, time);
    const char *shift = getenv("TEST_CLOCK_SHIFT");
    if (result == 0 && id == CLOCK_REALTIME && shift)
        time->tv_sec += atoll(shift);
    return result;
}
"#;

const YEAR: i64 = 365 * 24 * 60 * 60;

/// Runs a command that sees a clock which is so many seconds ahead.
fn run_shifted(home: &Home, seconds: i64, arguments: &[&str]) -> Ran {
    let library = home.join("shim.so");
    if !library.exists() {
        let source = home.join("shim.c");
        std::fs::write(&source, SHIM).unwrap();
        // The compiler that builds SQLite.
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status()
            .unwrap();
        assert!(built.success());
    }
    let mut command = home.command(arguments);
    command.env("LD_PRELOAD", library);
    command.env("TEST_CLOCK_SHIFT", seconds.to_string());
    Ran::of(&command.output().unwrap())
}

/// The output of such a command, which must succeed.
fn ok_shifted(home: &Home, seconds: i64, arguments: &[&str]) -> String {
    let ran = run_shifted(home, seconds, arguments);
    assert_eq!(ran.code, 0, "{ran}");
    ran.stdout
}

fn vm(home: &Home, name: &str) -> Value {
    serde_json::from_str(&home.ok(&["--local", "vm", "get", name, "--json"])).unwrap()
}

#[test]
fn a_clock_that_jumps_fires_no_ttl_and_the_expiry_follows_it() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--ttl", "1h", "--quiet"]);
    let expires = vm(&home, "dev")["expiresAtMs"].as_i64().unwrap();
    assert_eq!(vm(&home, "dev")["expiresAtMs"], expires);
    for years in [-10, 10] {
        let shift = years * YEAR;
        let found = ok_shifted(&home, shift, &["--local", "vm", "get", "dev", "--json"]);
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["status"], "running", "{found}");
        let moved = found["expiresAtMs"].as_i64().unwrap() - expires;
        assert!((moved - shift * 1000).abs() < 60_000, "{years}: {moved}");
    }
    assert_eq!(vm(&home, "dev")["expiresAtMs"], expires);
    // One that is set while the clock is wrong counts as any other.
    let launch = ["--local", "launch", "-n", "two", "--ttl", "1h", "--quiet"];
    ok_shifted(&home, 10 * YEAR, &launch);
    let moved = vm(&home, "two")["expiresAtMs"].as_i64().unwrap() - expires;
    assert!((-60_000..60_000).contains(&moved), "{moved}");
}

#[test]
fn on_a_computer_whose_clock_is_before_1970_nothing_panics_and_vms_can_be_removed() {
    let home = Home::new();
    home.ok(&[
        "--local",
        "launch",
        "-n",
        "dev",
        "--ttl",
        "1h:delete",
        "--quiet",
    ]);
    for arguments in [
        &["--local", "ls"][..],
        &["--local", "launch", "-n", "two"],
        &["local", "serve"],
    ] {
        let refused = run_shifted(&home, -70 * YEAR, arguments);
        assert_ne!(refused.code, 0, "{refused}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
        assert!(
            refused.stderr.contains("before 1970: set the clock first"),
            "{refused}"
        );
    }
    ok_shifted(&home, -70 * YEAR, &["local", "status"]);
    ok_shifted(&home, -70 * YEAR, &["local", "repair"]);
    assert_eq!(vm(&home, "dev")["status"], "running");
    ok_shifted(&home, -70 * YEAR, &["local", "reset", "--yes"]);
    assert!(!home.join("local").exists());
}

#[test]
fn what_was_left_of_a_ttl_counts_on_from_the_next_boot_of_the_computer() {
    let home = Home::new();
    for (name, ttl) in [("soon", "1s"), ("late", "365d")] {
        home.ok(&["--local", "launch", "-n", name, "--quiet"]);
        home.ok(&["--local", "vm", "pause", name]);
        home.ok(&[
            "--local",
            "vm",
            "update",
            name,
            "--ttl",
            &format!("{ttl}:delete"),
            "--quiet",
        ]);
    }
    // As a computer leaves them that was switched off while they ran.
    for init in fastvm_sandbox::find_inits(&home.join("local")).unwrap() {
        init.kill().unwrap();
    }
    let database = rusqlite::Connection::open(home.join("local/state.db")).unwrap();
    database
        .execute(
            "UPDATE vms SET status = 'running', host_boot = 'another', deadline_ms = 1 << 50",
            [],
        )
        .unwrap();
    // Whoever is first deletes the one whose time is over.
    while home.ok(&["--local", "ls", "-o", "name"]) != "late" {}
    assert_eq!(vm(&home, "late")["status"], "stopped");
}
