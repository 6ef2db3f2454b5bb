//! The official CLI and this one, called with the same words against the same server: exit codes and JSON are equal.

use std::process::Command;

use serde_json::{Value, json};
use wiremock::matchers::{any, method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Home, Ran};
use crate::python::python;

const VM: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
const SNAPSHOT: &str = "0d9c2f6e-6c1b-4b6e-9f0a-3a2d1f5e7c88";

/// What is compared: words that both take, as a script would write them.
const JSON: &[&[&str]] = &[
    &["--json", "vm", "ls"],
    &["--json", "vm", "get", VM],
    &["--json", "vm", "rename", VM, "web"],
    &[
        "--json",
        "vm",
        "launch",
        "--machine",
        "c1m2",
        "--name",
        "dev",
        "--disk-gib",
        "5",
    ],
    &["--json", "vm", "launch", "-m", "c2m4", "-n", "dev"],
    &["--json", "launch", "--no-console"],
    &["--json", "vm", "exec", VM, "echo", "hi"],
    &["--json", "exec", "--timeout", "5", VM, "true"],
    &["--json", "snapshot", "create", VM, "--name", "golden"],
    &["--json", "snapshot", "create", VM, "-n", "golden"],
    &["--json", "snapshot", "ls"],
    &["--json", "snapshot", "rename", SNAPSHOT, "old"],
    &["--json", "snapshot", "restore", SNAPSHOT, "-n", "dev"],
    &["--json", "firewall", "get", VM],
    &[
        "--json",
        "firewall",
        "set",
        VM,
        "--mode",
        "restricted",
        "--rule",
        "tcp:80",
        "-r",
        "UDP:5000-5010",
    ],
    &["--json", "firewall", "patch", VM, "--mode", "OPEN"],
    &["--json", "firewall", "patch", VM, "--rule", "tcp:443"],
    &["--json", "quota"],
];

/// Whose words for people differ: here the exit codes are compared.
const TEXT: &[&[&str]] = &[
    &["--version"],
    &["--help"],
    &["vm", "ls"],
    &["vm", "get", VM],
    &["vm", "rm", VM, "-y"],
    &["rm", "--yes", VM],
    &["vm", "rename", VM, "web"],
    &[
        "launch",
        "-m",
        "c1m2",
        "-n",
        "dev",
        "--disk-gib",
        "5",
        "--no-console",
    ],
    &["snapshot", "rm", SNAPSHOT, "-y"],
    &["snapshot", "ls"],
    &["firewall", "get", VM],
    &["quota"],
    &["exec", VM, "true"],
    &[
        "run",
        "-m",
        "c1m2",
        "-n",
        "x",
        "--timeout",
        "5",
        "echo",
        "hi",
    ],
    &["run", "--", "echo", "hi"],
    &["config", "set", "base_url", "https://api.example"],
    &["config", "get", "base_url"],
    &["config", "get"],
    // failures
    &["vm", "nope"],
    &["firewall", "set", VM, "--mode", "closed"],
    &["firewall", "set", VM, "--mode", "open", "--rule", "icmp:1"],
    &["config", "set", "colour", "red"],
    &["vm", "get", "4f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"],
];

async fn server() -> MockServer {
    let server = MockServer::start().await;
    let vm = json!({
        "id": VM, "name": "dev", "orgId": "o", "machineName": "c1m2", "sourceName": "", "cpu": 1, "memoryMiB": 2048,
        "diskGiB": 10, "status": "running", "createdAt": "2026-01-02T03:04:05Z", "publicIpv6": "2001:db8::1",
        "metadata": {"a": "b"},
        "firewall": {"mode": "restricted", "ingress": [{"protocol": "tcp", "portStart": 80}]},
    });
    let snapshot = json!({
        "id": SNAPSHOT, "name": "golden", "orgId": "o", "vmId": VM, "status": "ready", "createdAt": "2026-01-02T03:04:05Z",
    });
    let ran = json!({
        "exitCode": 0, "stdout": "hi\n", "stderr": "", "timedOut": false, "stdoutTruncated": false,
        "stderrTruncated": false, "durationMs": 3,
    });
    let values = json!({"vcpu": 4, "memoryMiB": 8192, "diskGiB": 100, "snapshotCount": 10});
    let routes = [
        ("GET", "^/v1/vms$", 200, json!([vm])),
        ("POST", "^/v1/vms$", 201, vm.clone()),
        ("POST", "/exec$", 200, ran),
        ("PUT", "/firewall$", 200, vm.clone()),
        ("PATCH", "/firewall$", 200, vm.clone()),
        ("PATCH", "^/v1/vms/3f[^/]*$", 200, vm.clone()),
        ("GET", "^/v1/vms/3f[^/]*$", 200, vm),
        (
            "DELETE",
            "^/v1/vms/",
            200,
            json!({"id": VM, "deleted": true}),
        ),
        ("GET", "^/v1/snapshots$", 200, json!([snapshot])),
        ("POST", "^/v1/snapshots$", 201, snapshot.clone()),
        ("PATCH", "^/v1/snapshots/", 200, snapshot),
        (
            "DELETE",
            "^/v1/snapshots/",
            200,
            json!({"id": SNAPSHOT, "deleted": true}),
        ),
    ];
    for (verb, pattern, status, body) in routes {
        Mock::given(method(verb))
            .and(path_regex(pattern))
            .respond_with(ResponseTemplate::new(status).set_body_json(body))
            .mount(&server)
            .await;
    }
    let quotas = json!({"orgId": "o", "limits": values, "usage": values});
    Mock::given(path("/v1/org/quotas"))
        .respond_with(ResponseTemplate::new(200).set_body_json(quotas))
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(404).set_body_json(json!({"error": "not found"})))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

/// Without the fields that are null: one prints them, the other leaves them out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn both(python: &str, home: &Home, words: &[&str]) -> (Ran, Ran) {
    let ours = home.run(words);
    let mut theirs = Command::new(python);
    let known = home.command(&[]);
    theirs.args(["-m", "fastvm.lib.cli.main"]).args(words);
    theirs.env_clear().current_dir(home.path());
    for (name, value) in known.get_envs() {
        if let Some(value) = value {
            theirs.env(name, value);
        }
    }
    (Ran::of(&theirs.output().unwrap()), ours)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_for_the_official_cli_get_the_same_answers() {
    let Some(python) = python() else {
        use std::io::Write as _;
        let _ = writeln!(
            std::io::stderr(),
            "not run: no Python with fastvm==0.7.0 (see FASTVM_TEST_PYTHON)"
        );
        return;
    };
    let server = server().await;
    let home = Home::with_server(&server.uri());
    let compared = tokio::task::spawn_blocking(move || {
        let mut differences = Vec::new();
        for words in JSON {
            let (theirs, ours) = both(&python, &home, words);
            let read = |ran: &Ran| serde_json::from_str(&ran.stdout).map(without_nulls).ok();
            let equal = theirs.code == 0 && ours.code == 0 && read(&theirs).is_some();
            if !equal || read(&theirs) != read(&ours) {
                differences.push(format!("{words:?}\ntheirs: {theirs}\nours: {ours}"));
            }
        }
        for words in TEXT {
            let (theirs, ours) = both(&python, &home, words);
            if (theirs.code == 0) != (ours.code == 0) {
                differences.push(format!("{words:?}\ntheirs: {theirs}\nours: {ours}"));
            }
        }
        differences
    });
    let differences = compared.await.unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
