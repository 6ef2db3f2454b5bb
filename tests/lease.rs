//! The lease of `run`: a VM whose command was killed is deleted by its timer, and one whose command runs is not.

use std::io::Read as _;
use std::process::Stdio;

use serde_json::json;

use crate::common::scripted;
use crate::common::{Front, Home, Ran, Say, Served};

/// The only VM of a home.
fn vm(home: &Home) -> serde_json::Value {
    let list = home.run(&["--local", "vm", "ls", "--json"]).json();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    list[0].clone()
}

#[test]
fn a_killed_run_leaves_a_vm_that_the_engine_deletes() {
    let home = Home::new();
    let mut child = home
        .command(&["--local", "run", "--lease", "3s", "echo up; sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    assert_eq!(vm(&home)["ttl"], json!({"action": "delete", "seconds": 3}));
    child.kill().unwrap();
    child.wait().unwrap();
    // The database is looked at, as an engine that is asked would delete the VM itself.
    let state = rusqlite::Connection::open(home.join("local/state.db")).unwrap();
    let count = || state.query_row("SELECT count(*) FROM vms", [], |row| row.get::<_, i64>(0));
    while count().unwrap() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_command_may_take_longer_than_the_lease() {
    let home = Home::new();
    let ran = home.run(&["--local", "run", "--lease", "3s", "sleep 7; echo done"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "done\n"), "{ran}");
}

#[test]
fn a_vm_has_a_lease_unless_it_is_kept_or_has_a_timer_of_its_own() {
    let served = Served::start();
    for (options, posted) in [
        (&[][..], r#""ttl":{"action":"delete","seconds":900}"#),
        (&["--lease", "2h"], r#""seconds":7200"#),
        (
            &["--ttl", "1h:pause"],
            r#""ttl":{"action":"pause","seconds":3600}"#,
        ),
    ] {
        let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
        let home = Home::with_server(front.url());
        home.ok(&[&["run"], options, &["true"]].concat());
        assert_eq!(front.count_posted(posted), 1, "{options:?}");
    }
    for options in [&["--no-lease"][..], &["--keep"]] {
        let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
        Home::with_server(front.url()).ok(&[&["run"], options, &["true"]].concat());
        assert_eq!(front.count_posted(r#""ttl""#), 0, "{options:?}");
    }
    let home = Home::new();
    for wrong in [
        &["--lease", "0"][..],
        &["--lease", "1s", "--no-lease"],
        &["--lease", "1s", "--ttl", "1h"],
    ] {
        assert_eq!(
            home.run(&[&["run"], wrong, &["true"]].concat()).code,
            2,
            "{wrong:?}"
        );
    }
}

#[test]
fn a_vm_that_is_kept_after_a_failure_has_no_timer() {
    let home = Home::new();
    let ran = home.run(&["--local", "run", "--keep-on-failure", "exit 7"]);
    assert_eq!(ran.code, 7, "{ran}");
    assert_eq!(vm(&home)["ttl"], serde_json::Value::Null);
}

/// Runs a command where the engine's answer is changed, or not, by its line and what was posted.
fn run(
    served: &Served,
    lease: &str,
    command: &str,
    mut say: impl FnMut(&str, &str) -> Say + Send + 'static,
) -> (Ran, usize) {
    let front = Front::new(served.url(), "uploadUrl", move |asked| {
        say(&asked.line, &asked.body)
    });
    let ran = Home::with_server(front.url()).run(&["-v", "run", "--lease", lease, command]);
    (ran, front.count("/ttl/refresh"))
}

#[test]
fn a_server_that_refuses_timers_is_used_without() {
    let served = Served::start();
    for status in [
        "400 Bad Request",
        "422 Unprocessable Entity",
        "501 Not Implemented",
    ] {
        let (ran, _) = run(&served, "15m", "echo ran", move |line, body| {
            match line == "POST /v1/vms" && body.contains("ttl") {
                true => Say::Answer(scripted::json(status, r#"{"error":"unknown field"}"#)),
                false => Say::Pass,
            }
        });
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (0, "ran\n"),
            "{status}\n{ran}"
        );
        assert!(
            ran.stderr.contains("running without a lease"),
            "{status}\n{ran}"
        );
    }
}

#[test]
fn a_server_that_ignores_timers_is_used_without() {
    let served = Served::start();
    let dev = served.client().run(&["vm", "get", "dev", "--json"]).json();
    assert!(dev.get("ttl").is_none_or(serde_json::Value::is_null));
    let (ran, asked) = run(&served, "3s", "echo ran; sleep 3", move |line, _| {
        match line == "POST /v1/vms" {
            true => Say::Answer(scripted::json("201 Created", &dev.to_string())),
            false => Say::Pass,
        }
    });
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "ran\n"), "{ran}");
    assert!(ran.stderr.contains("the API set no timer"), "{ran}");
    // It may have one all the same, so it is asked, and says that there is none.
    assert_eq!(asked, 1);
}

#[test]
fn a_launch_that_is_refused_for_another_reason_says_so() {
    let served = Served::start();
    let (ran, _) = run(&served, "15m", "true", |line, _| {
        match line == "POST /v1/vms" {
            true => Say::Answer(scripted::json(
                "400 Bad Request",
                r#"{"error":"no such type"}"#,
            )),
            false => Say::Pass,
        }
    });
    assert_eq!(ran.code, 125, "{ran}");
    assert!(ran.stderr.contains("no such type"), "{ran}");
    assert!(!ran.stderr.contains("without a lease"), "{ran}");
}

#[test]
fn a_server_that_cannot_renew_is_asked_once_and_one_that_fails_again() {
    let served = Served::start();
    let answer = |status: &'static str| {
        move |line: &str, _: &str| match line.ends_with("/ttl/refresh") {
            true => Say::Answer(scripted::json(status, r#"{"error":"no"}"#)),
            false => Say::Pass,
        }
    };
    for status in ["404 Not Found", "409 Conflict", "405 Method Not Allowed"] {
        let (_, asked) = run(&served, "3s", "sleep 3", answer(status));
        assert_eq!(asked, 1, "{status}");
    }
    let (ran, asked) = run(&served, "9s", "sleep 6", answer("503 Service Unavailable"));
    assert!(asked > 1, "{asked}");
    let warnings = ran.stderr.matches("warning: the timer of VM").count();
    assert_eq!(warnings, 1, "{ran}");
}
