//! Servers that are not ours: answers in which fields are missing, null or of another type, and servers that are away for a while.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::common::scripted::{answer, json as answer_json, stream};
use crate::common::{Home, Ran, Scripted, Served};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

fn ran(answers: &[&str], arguments: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    (server, ran)
}

fn ok(value: &Value) -> String {
    answer_json("200 OK", &value.to_string())
}

/// Each object with each field missing, null, and of each other type.
fn spoilt(whole: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!("text"),
        json!(-1.5),
        json!(true),
        json!([null]),
        json!({"a": 1}),
    ];
    let mut all = Vec::new();
    for field in whole.as_object().unwrap().keys().filter(|key| *key != "id") {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(field);
        all.push(without);
        for other in &others {
            let mut odd = whole.clone();
            odd[field] = other.clone();
            all.push(odd);
        }
    }
    all
}

fn vm() -> Value {
    json!({
        "id": ID, "name": "dev", "orgId": "o", "machineName": "c1m2", "sourceName": "", "cpu": 1,
        "memoryMiB": 2048, "diskGiB": 10, "status": "running", "createdAt": "2026-01-02T03:04:05Z",
        "publicIpv6": "::1", "metadata": {"a": "b"}, "envVars": {"A": "b"}, "ttl": {"action": "pause", "seconds": 5},
        "expiresAtMs": 1, "ttlRemainingMs": 1, "pausedAt": null, "deletedAt": null,
        "firewall": {"mode": "restricted", "ingress": [{"protocol": "tcp", "portStart": 1}]},
        "effectiveFirewall": {"mode": "restricted", "ingress": [{"protocol": "tcp", "portStart": 1}]},
        "volumes": [{"volumeId": "v", "mountPath": "/v", "readOnly": false, "mountStatus": "mounted"}],
        "snapshotRestoreWarnings": {"servicesRegistrationFailed": true}, "unknown": 12345,
    })
}

/// The kinds of things, and the command that lists them.
fn lists() -> Vec<(&'static [&'static str], Value)> {
    let time = "2026-01-02T03:04:05Z";
    vec![
        (&["vm", "list"][..], vm()),
        (
            &["snapshot", "list"],
            json!({"id": "i", "name": "n", "orgId": "o", "vmId": "v", "status": "ready", "createdAt": time,
                "metadata": {}, "firewall": {}, "envVars": {}, "services": []}),
        ),
        (
            &["volume", "list"],
            json!({"id": "i", "name": "n", "orgId": "o", "backend": "native", "sizeGiB": 1, "status": "ready",
                "createdAt": time, "attachmentCount": 1, "billableGiB": 1, "accessMode": "rw", "consistency": "posix",
                "statusMessage": "", "updatedAt": time}),
        ),
        (
            &["credential", "list"],
            json!({"id": "i", "name": "n", "type": "s3", "createdAt": time}),
        ),
        (
            &["service", "list", ID],
            json!({"name": "web", "port": 8080, "h2c": true}),
        ),
        (
            &["volume", "attachments", ID],
            json!({"vmId": "i", "volumeId": "v", "mountPath": "/", "readOnly": true, "mountStatus": "mounted",
                "statusMessage": "", "rotationRequired": false, "createdAt": time}),
        ),
    ]
}

#[test]
fn a_list_prints_whatever_a_field_holds_and_json_is_what_came() {
    for (list, whole) in lists() {
        let all = Value::Array(spoilt(&whole));
        for format in ["table", "wide", "csv", "name", "id", "json", "jsonl"] {
            let (_, ran) = ran(&[&ok(&all)], &[list, &["-o", format]].concat());
            if format == "wide"
                && ["service", "attachments"]
                    .iter()
                    .any(|few| list.contains(few))
            {
                assert!(ran.stderr.contains("no more columns"), "{list:?}\n{ran}");
                continue;
            }
            assert_eq!(
                (ran.code, ran.stderr.as_str()),
                (0, ""),
                "{list:?} {format}"
            );
            let rows = all.as_array().unwrap().len();
            match format {
                "json" => assert_eq!(ran.json(), all, "{list:?}"),
                "table" | "wide" | "csv" => assert_eq!(ran.stdout.lines().count(), rows + 1),
                _ => assert_eq!(ran.stdout.lines().count(), rows, "{list:?} {format}"),
            }
        }
    }
}

#[test]
fn elements_that_are_no_objects_and_have_no_id_do_not_fail_a_list() {
    let all = json!([null, {}, {"id": 7, "name": "x"}, vm()]);
    let (_, json) = ran(&[&ok(&all)], &["vm", "list", "-o", "json"]);
    assert_eq!(json.json(), all);
    let (_, table) = ran(
        &[&ok(&all)],
        &["vm", "list", "--columns", "name,id,cpu,memory"],
    );
    assert_eq!(table.code, 0, "{table}");
    let cells: Vec<Vec<&str>> = table
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(cells[1], ["-", "-", "-", "-"]);
    assert_eq!(cells[3], ["x", "7", "-", "-"]);
    assert_eq!(cells[4], ["dev", ID, "1", "2.0", "GiB"]);
}

#[test]
fn one_odd_thing_prints_as_a_block_and_as_what_came() {
    for odd in spoilt(&vm()) {
        let (_, json) = ran(&[&ok(&odd)], &["vm", "get", ID, "-o", "json"]);
        assert_eq!(json.json(), odd);
        let (_, block) = ran(&[&ok(&odd), &ok(&json!([]))], &["vm", "get", ID]);
        assert_eq!(block.code, 0, "{odd}\n{block}");
        let (_, firewall) = ran(&[&ok(&odd)], &["firewall", "get", ID]);
        assert_eq!(firewall.code, 0, "{odd}\n{firewall}");
    }
    for odd in [
        json!({}),
        json!({"limits": {"vcpu": "x"}, "usage": null}),
        json!({"usage": {"vcpu": 3}}),
    ] {
        let (_, ran) = ran(&[&ok(&odd)], &["quota"]);
        assert_eq!(ran.code, 0, "{odd}\n{ran}");
    }
    let build = json!({"id": "b", "status": 7, "imageRef": null, "createdAt": []});
    let (_, ran) = ran(&[&ok(&build)], &["build", "get", "b"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn an_odd_answer_to_a_launch_still_tells_the_id_and_is_waited_for() {
    for first in [
        json!({"id": ID}),
        json!({"id": ID, "status": "warming-up", "cpu": null}),
        json!({"id": ID, "status": 7, "createdAt": {}, "orgId": []}),
    ] {
        let then = json!({"id": ID, "status": "running", "name": null, "memoryMiB": "2"});
        let accepted = answer_json("202 Accepted", &first.to_string());
        let (server, ran) = ran(
            &[&accepted, &ok(&first), &ok(&then)],
            &["vm", "launch", "-o", "id"],
        );
        assert_eq!((ran.code, ran.stdout.trim()), (0, ID), "{ran}");
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn run_deletes_the_vm_of_an_odd_launch() {
    let odd = json!({"id": ID, "status": "running", "cpu": "one", "name": 7});
    let end = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"exitCode\":0,\"stdout\":\"hi\",\"durationMs\":null}";
    for gone in [
        answer_json("200 OK", "{}"),
        answer_json("200 OK", r#"{"deleted":"yes"}"#),
        answer("204 No Content", "text/plain", ""),
    ] {
        let (server, ran) = ran(&[&ok(&odd), end, &gone], &["run", "--", "echo", "hi"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "hi"), "{ran}");
        let last = server.requests().pop().unwrap();
        assert!(last.starts_with(&format!("DELETE /v1/vms/{ID} ")), "{last}");
    }
}

#[test]
fn run_finds_and_deletes_a_vm_whose_launch_told_no_id() {
    let server = Scripted::new(&[
        &ok(&json!({"status": "running"})),
        // the list by the mark: the server filters, the client checks
        &ok(&json!([])),
    ]);
    let ran = Home::with_server(server.url()).run(&["run", "--", "true"]);
    assert_eq!(ran.code, 125, "{ran}");
    let list = server.requests().pop().unwrap();
    assert!(
        list.starts_with("GET /v1/vms?metadata.fastvm-cli%2Frun="),
        "{list}"
    );
    assert!(
        ran.stderr.contains("hint: a VM may have been launched"),
        "{ran}"
    );
}

#[test]
fn an_id_that_is_a_number_is_used_as_text() {
    let numbered = json!({"id": 5, "name": "dev", "status": "running"});
    let (_, listed) = ran(&[&ok(&json!([numbered]))], &["vm", "ls", "-o", "id"]);
    assert_eq!(listed.stdout, "5\n", "{listed}");
    let end = stream("{\"t\":\"x\",\"c\":3,\"ms\":\"long\"}\n");
    let deleted = ok(&json!({"id": 5, "deleted": true}));
    let (server, ran) = ran(
        &[&ok(&numbered), &end, &deleted],
        &["run", "--no-lease", "true"],
    );
    assert_eq!(ran.code, 3, "{ran}");
    let last = server.requests().pop().unwrap();
    assert!(last.starts_with("DELETE /v1/vms/5 "), "{last}");
}

#[test]
fn a_wait_outlasts_an_answer_that_no_api_gives_and_says_so_once() {
    let page = answer("200 OK", "text/html", "<html>Log in to the wifi</html>");
    let queued = ok(&json!({"id": ID, "name": "dev", "status": "provisioning"}));
    let runs = ok(&vm());
    for odd in [ok(&json!(null)), ok(&json!([])), page] {
        let answers = [&queued, &odd, &odd, &runs].map(String::as_str);
        let (_, ran) = ran(
            &answers,
            &["vm", "launch", "--poll-interval", "500ms", "-q", ".status"],
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "running\n"), "{ran}");
        assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran}");
        assert!(ran.stderr.contains("still waiting"), "{ran}");
    }
}

#[test]
fn labels_and_rules_that_cannot_be_read_are_not_overwritten() {
    let mut odd = vm();
    odd["metadata"] = json!({"a": "b", "c": 3});
    odd["firewall"]["ingress"] = json!([{"protocol": "icmp"}]);
    for change in [
        &["vm", "update", ID, "--metadata", "x=y"][..],
        &["firewall", "allow", ID, "tcp:80"],
        &["firewall", "deny", ID, "tcp:80"],
    ] {
        let (server, ran) = ran(&[&ok(&odd)], change);
        assert_eq!((ran.code, server.requests().len()), (1, 1), "{ran}");
        assert!(ran.stderr.contains("cannot read the present"), "{ran}");
    }
}

#[test]
fn a_wait_outlasts_a_server_that_is_away_and_says_so_once() {
    let away = answer_json("503 Service Unavailable", r#"{"error":"restarting"}"#);
    let list = ok(&json!([vm()]));
    let queued = ok(&json!({"id": ID, "name": "dev", "status": "provisioning"}));
    let runs = ok(&vm());
    let answers = [&away, &list, &queued, &away, &away, &runs].map(String::as_str);
    let (_, ran) = ran(
        &answers,
        &[
            "--retries",
            "0",
            "vm",
            "wait",
            "dev",
            "--interval",
            "500ms",
            "-q",
            ".status",
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "running\n"), "{ran}");
    assert_eq!(
        ran.stderr,
        "warning: the API failed (503): restarting; still waiting until the time limit\n"
    );
}

#[test]
fn a_wait_that_never_gets_an_answer_ends_at_its_own_limit() {
    let away = answer_json("503 Service Unavailable", r#"{"error":"restarting"}"#);
    let (_, ran) = ran(
        &[&away],
        &[
            "--retries",
            "0",
            "vm",
            "wait",
            ID,
            "--timeout",
            "700ms",
            "--json",
        ],
    );
    let error = ran.error();
    assert_eq!(
        (ran.code, error["code"].as_str()),
        (8, Some("wait_timeout")),
        "{ran}"
    );
    assert_eq!(
        error["message"],
        format!(
            "the status of VM {ID} is still unknown after 700 ms: the API failed (503): restarting"
        )
    );
    let snapshot = ok(&json!({"id": "s", "status": "creating"}));
    let (_, ran) = ran_snapshot(&[&snapshot, &away]);
    assert_eq!(ran.code, 8, "{ran}");
    assert!(ran.stderr.contains("fastvm snapshot get s"), "{ran}");
}

fn ran_snapshot(answers: &[&str]) -> (Scripted, Ran) {
    ran(
        answers,
        &[
            "--retries",
            "0",
            "snapshot",
            "create",
            ID,
            "--wait",
            "--wait-timeout",
            "700ms",
        ],
    )
}

#[test]
fn watching_outlasts_a_server_that_is_away_and_ends_without_a_word() {
    let away = answer_json("503 Service Unavailable", r#"{"error":"restarting"}"#);
    let (first, mut other) = (vm(), vm());
    other["name"] = json!("web");
    let answers = [ok(&json!([first])), away.clone(), away, ok(&json!([other]))];
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let server = Scripted::new(&answers);
    let mut child = Home::with_server(server.url())
        .command(&[
            "--retries",
            "0",
            "vm",
            "list",
            "--watch",
            "--interval",
            "500ms",
            "-o",
            "name",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "dev");
    assert_eq!(lines.next().unwrap().unwrap(), "web");
    let pid = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            130,
            "warning: the API failed (503): restarting; still watching\n"
        )
    );
}

#[test]
fn a_wrong_base_url_is_told_from_a_missing_thing() {
    for body in [
        "404 page not found",
        "<html><h1>Not Found</h1></html>",
        r#"{"message":"Not Found"}"#,
    ] {
        let (server, ran) = ran(
            &[&answer("404 Not Found", "text/plain", body)],
            &["vm", "get", "dev"],
        );
        assert_eq!(ran.code, 3, "{ran}");
        let url = server.url();
        assert!(
            ran.stderr.contains(&format!("{url} has no /v1/vms (404)")),
            "{ran}"
        );
        assert!(
            ran.stderr.contains(&format!("check the base URL {url}")),
            "{ran}"
        );
    }
}

#[test]
fn a_404_that_is_not_of_the_api_says_nothing_of_a_thing() {
    let foreign = [
        "",
        "404 page not found",
        r#"{"message":"Not Found"}"#,
        r#"{"error":"no such route: x"}"#,
    ];
    let routes: [&[&str]; 7] = [
        &["vm", "launch"],
        &["run", "true"],
        &["exec", ID, "true"],
        &["vm", "get", ID],
        &["vm", "delete", ID, "--yes"],
        &["vm", "delete", ID, "--yes", "--ignore-not-found"],
        &["vm", "wait", ID, "--for", "deleted"],
    ];
    for arguments in routes {
        for body in foreign {
            let (server, ran) = ran(&[&answer("404 Not Found", "text/plain", body)], arguments);
            assert_ne!(ran.code, 0, "{arguments:?} {body}");
            let hint = format!("check the base URL {}", server.url());
            assert!(ran.stderr.contains(&hint), "{arguments:?} {body}\n{ran}");
        }
    }
    let missing = answer_json("404 Not Found", r#"{"error":"vm not found"}"#);
    for arguments in &routes[5..] {
        let (_, ran) = ran(&[&missing], arguments);
        assert_eq!(ran.code, 0, "{ran}");
    }
    let (_, launch) = ran(&[&missing], &["vm", "launch"]);
    assert!(launch.stderr.contains("check the base URL"), "{launch}");
    let (_, doctor) = ran(
        &[&answer("404 Not Found", "text/plain", "no")],
        &["doctor", "--json"],
    );
    assert!(doctor.stdout.contains("not tried, from"), "{doctor}");
}

#[test]
fn a_thing_without_an_id_is_the_one_that_was_asked_for() {
    let queued = answer_json(
        "202 Accepted",
        &json!({"id": ID, "status": "queued"}).to_string(),
    );
    let bare = ok(&json!({"id": true, "status": "running"}));
    let cases: [(&[&str], &[&str]); 4] = [
        (&[&queued, &bare], &["vm", "launch", "-o", "id"]),
        (&[&bare], &["vm", "get", ID, "-o", "id"]),
        (&[&bare], &["vm", "pause", ID, "-o", "id"]),
        (&[&bare], &["vm", "refresh-ttl", ID, "-o", "id"]),
    ];
    for (answers, arguments) in cases {
        let (_, ran) = ran(answers, arguments);
        assert_eq!(
            (ran.code, ran.stdout.trim()),
            (0, ID),
            "{arguments:?}\n{ran}"
        );
    }
    for arguments in [
        &["vm", "launch"][..],
        &["snapshot", "create", ID],
        &["volume", "create", "--size-gib", "1"],
    ] {
        let (_, ran) = ran(&[&bare], arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (1, ""),
            "{arguments:?}\n{ran}"
        );
        assert!(
            ran.stderr.contains("it has no id") && ran.stderr.contains("all the same"),
            "{ran}"
        );
    }
}

#[test]
fn a_key_that_a_server_repeats_is_not_shown() {
    const KEY: &str = "fv_test_key_0123456789";
    let said = json!({"error": format!("bad key {KEY}")}).to_string();
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "500 Oops",
    ] {
        for arguments in [
            &["-vvv", "vm", "list", "--json"][..],
            &["vm", "get", ID],
            &["exec", ID, "true"],
        ] {
            let arguments = [&["--retries", "0"], arguments].concat();
            let (_, ran) = ran(&[&answer_json(status, &said)], &arguments);
            assert!(ran.stderr.contains("bad key [redacted]"), "{ran}");
            assert!(!ran.stderr.contains(KEY), "{ran}");
        }
    }
}

#[test]
fn what_is_no_list_is_told_in_words() {
    let (_, list) = ran(&[&ok(&json!({"vms": []}))], &["vm", "list"]);
    assert!(list.stderr.contains("not a JSON list"), "{list}");
    for odd in [json!([]), json!([null]), json!("x"), json!({"ingress": {}})] {
        let answer = ok(&json!({"id": ID, "firewall": odd}));
        let (server, ran) = ran(&[&answer], &["firewall", "allow", ID, "tcp:80"]);
        assert_eq!((ran.code, server.requests().len()), (1, 1), "{odd}\n{ran}");
        assert!(
            !ran.stderr.contains("struct") && !ran.stderr.contains("Policy"),
            "{ran}"
        );
    }
}

#[test]
fn a_failed_command_never_ends_with_0() {
    for (code, ours) in [(256, 255), (300, 255), (-1, 255), (255, 255), (3, 3)] {
        let ended = ok(&json!({"exitCode": code, "stdout": "", "stderr": ""}));
        let (_, ran) = ran(&[&ended], &["exec", ID, "x"]);
        assert_eq!(ran.code, ours, "{code}\n{ran}");
    }
}

#[test]
fn a_look_up_that_lasts_too_long_ends_the_wait() {
    let away = answer_json("503 Service Unavailable", r#"{"error":"restarting"}"#);
    let arguments = ["--retries", "0", "vm", "wait", "dev", "--timeout", "700ms"];
    let (_, ran) = ran(&[&away], &arguments);
    assert_eq!(ran.code, 8, "{ran}");
    assert!(ran.stderr.contains("hint: "), "{ran}");
}

#[test]
fn a_server_without_tls_is_named_as_one() {
    let served = Served::start();
    let url = served.url().replacen("http", "https", 1);
    let ran = Home::with_server(&url).run(&["--retries", "0", "vm", "list"]);
    assert_eq!(ran.code, 7, "{ran}");
    let said = format!("does not speak TLS; try {}", served.url());
    assert!(ran.stderr.contains(&said), "{ran}");
}

#[test]
fn health_is_not_ok_with_a_key_that_is_refused() {
    let healthy = ok(&json!({"status": "ok"}));
    let refused = answer_json("401 Unauthorized", r#"{"error":"invalid key"}"#);
    for format in ["table", "json"] {
        let (_, ran) = ran(&[&healthy, &refused], &["health", "-o", format]);
        assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{ran}");
    }
    let (_, ran) = ran(&[&healthy, &ok(&json!({}))], &["health"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn volumes_show_their_names_and_what_is_wrong_with_them() {
    let mut one = vm();
    one["volumes"] = json!([
        {"volumeId": "v-1", "mountPath": "/a", "readOnly": true, "mountStatus": "failed", "statusMessage": "no bucket"},
        {"volumeId": "v-2", "mountPath": "/b", "mountStatus": "mounted", "rotationRequired": true},
    ]);
    let volumes = json!([{"id": "v-1", "name": "data"}, {"id": "v-2", "name": "logs"}]);
    let (_, ran) = ran(&[&ok(&one), &ok(&volumes)], &["vm", "get", ID]);
    assert!(
        ran.stdout
            .contains("data:/a:ro (failed, no bucket) logs:/b (mounted, rotationRequired)"),
        "{ran}"
    );
}
