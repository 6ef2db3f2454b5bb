//! `TestEngine` in a test program of somebody else's: the harness knows nothing of it, and nothing stays.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use fastvm_testing::TestEngine;
use serde_json::Value;

/// Sends a request and returns the body of its answer.
fn ask(engine: &TestEngine, request: &str, body: &str) -> Value {
    let mut connection = TcpStream::connect(engine.url().trim_start_matches("http://")).unwrap();
    let timeout = Some(Duration::from_secs(60));
    connection.set_read_timeout(timeout).unwrap();
    write!(
        connection,
        "{request} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        engine.key().expose(),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn launch(engine: &TestEngine) -> String {
    let vm = ask(engine, "POST /v1/vms", r#"{"machineType":"c1m2"}"#);
    let id = vm["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask(engine, &format!("GET /v1/vms/{id}"), "")["status"] != "running" {
        assert!(Instant::now() < deadline, "the VM does not run");
        thread::sleep(Duration::from_millis(20));
    }
    id
}

/// The processes that name a data folder's VM in their arguments or environment.
fn processes_of(vm: &str) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.map(|entry| entry.path().join("cmdline"));
    lines
        .filter(|line| fs::read(line).is_ok_and(|text| String::from_utf8_lossy(&text).contains(vm)))
        .collect()
}

#[test]
fn a_command_runs_in_a_vm_and_nothing_stays() {
    let engine = TestEngine::start().unwrap();
    let data = engine.data().to_owned();
    let vm = launch(&engine);
    let request = format!("POST /v1/vms/{vm}/exec");
    let answer = ask(&engine, &request, r#"{"command":["echo","hello"]}"#);
    assert_eq!(answer["stdout"], "hello\n", "{answer}");
    assert!(!processes_of(&vm).is_empty());
    drop(engine);
    assert!(!data.exists());
    assert_eq!(processes_of(&vm), Vec::<PathBuf>::new());
}

#[test]
fn engines_of_one_program_do_not_share_anything() {
    let (one, two) = (TestEngine::start().unwrap(), TestEngine::start().unwrap());
    launch(&one);
    assert_eq!(ask(&two, "GET /v1/vms", ""), Value::Array(Vec::new()));
}

/// Otherwise whoever may write to the temporary folder could have the data of another engine removed.
#[test]
fn a_link_with_the_name_of_what_a_test_left_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let running = TestEngine::start().unwrap();
    // A folder that an engine has worked in, and works in no more.
    let mine = folder.path().join("mine");
    let options = fastvm_engine::Options::new(&mine);
    fastvm_engine::start(options).unwrap().stop();
    let link = std::env::temp_dir().join(format!("fastvm-test-{}-x", u32::MAX));
    symlink(&mine, &link).unwrap();
    let _next = TestEngine::start().unwrap();
    fs::remove_file(&link).unwrap();
    assert!(mine.join("key").exists());
    assert!(running.data().exists());
}

const LEAVES: &str = "FASTVM_TEST_LEAVES";

#[test]
fn what_a_killed_test_leaves_is_removed_by_the_next() {
    if let Some(file) = std::env::var_os(LEAVES) {
        let engine = TestEngine::start().unwrap();
        let vm = launch(&engine);
        fs::write(file, format!("{vm} {}", engine.data().display())).unwrap();
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("left");
    let status = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "what_a_killed_test_leaves_is_removed_by_the_next",
        ])
        .env(LEAVES, &file)
        .output()
        .unwrap();
    let left = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{status:?}"));
    let (vm, data) = left.split_once(' ').unwrap();
    let _engine = TestEngine::start().unwrap();
    assert!(!Path::new(data).exists());
    assert_eq!(processes_of(vm), Vec::<PathBuf>::new());
}
