//! Commands on VMs that change, wait, pause and resume: what is sent, and what comes of several targets.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::{answer, json};
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
const OTHER: &str = "4f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

fn vm(id: &str, name: &str, status: &str) -> String {
    format!(
        r#"{{"id":"{id}","name":"{name}","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"{status}",
            "createdAt":"2026-01-02T03:04:05Z","metadata":{{"env":"ci","owner":"a"}},"ttl":{{"action":"delete","seconds":60}}}}"#
    )
}

fn dev(status: &str) -> String {
    json("200 OK", &vm(ID, "dev", status))
}

fn two() -> String {
    let (dev, web) = (vm(ID, "dev", "running"), vm(OTHER, "web", "running"));
    json("200 OK", &format!("[{dev},{web}]"))
}

fn ran(answers: &[&str], arguments: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    (server, ran)
}

/// The first line of each request, and its body.
fn sent(server: &Scripted) -> Vec<(String, String)> {
    let requests = server.requests();
    let parts = requests.iter().map(|request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
        (line, body.to_owned())
    });
    parts.collect()
}

#[test]
fn a_change_of_labels_keeps_those_that_are_not_named() {
    let (server, ran) = ran(
        &[&dev("running")],
        &[
            "vm",
            "update",
            ID,
            "--metadata",
            "env=prod",
            "--metadata",
            "new=1",
            "--unset",
            "owner",
        ],
    );
    assert_eq!(ran.code, 0, "{ran}");
    let sent = sent(&server);
    assert_eq!(sent[0].0, format!("GET /v1/vms/{ID}"));
    assert_eq!(
        sent[1],
        (
            format!("PATCH /v1/vms/{ID}"),
            r#"{"metadata":{"env":"prod","new":"1"}}"#.to_owned()
        )
    );
}

#[test]
fn a_change_that_needs_nothing_of_the_present_reads_nothing() {
    for (options, body) in [
        (&["--name", "web"][..], r#"{"name":"web"}"#),
        (&["--no-ttl"], r#"{"ttl":null}"#),
        (&["--clear-metadata"], r#"{"metadata":{}}"#),
        (
            &["--clear-metadata", "--metadata", "a=b"],
            r#"{"metadata":{"a":"b"}}"#,
        ),
    ] {
        let (server, ran) = ran(
            &[&dev("running")],
            &[&["vm", "update", ID], options].concat(),
        );
        assert_eq!(ran.code, 0, "{ran}");
        assert_eq!(
            sent(&server),
            [(format!("PATCH /v1/vms/{ID}"), body.to_owned())]
        );
    }
}

#[test]
fn a_timer_keeps_its_action_unless_another_is_typed() {
    for (ttl, body) in [
        ("1h", r#"{"ttl":{"action":"delete","seconds":3600}}"#),
        ("1h:pause", r#"{"ttl":{"action":"pause","seconds":3600}}"#),
    ] {
        let (server, _) = ran(&[&dev("running")], &["vm", "update", ID, "--ttl", ttl]);
        assert_eq!(sent(&server)[1].1, body);
    }
}

#[test]
fn several_vms_are_paused_and_each_failure_is_told() {
    let refused = json("409 Conflict", r#"{"error":"it is being deleted"}"#);
    let (_, ran) = ran(
        &[&two(), &refused],
        &["vm", "pause", "dev", "nope", "--json"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: VM dev (3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7): it is being deleted
error: there is no VM named "nope"
error: 2 of 2 VMs could not be paused
hint: list them with `fastvm vm list`
{"error":{"code":"all_failed","message":"2 of 2 VMs could not be paused","hint":"list them with `fastvm vm list`","status":null,"requestId":null,"target":null,"retryable":false,"exitCode":1,"failed":[{"target":"dev","id":"3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","code":"conflict","message":"VM dev (3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7): it is being deleted"},{"target":"nope","code":"not_found","message":"there is no VM named /"nope/""}]}}
--- exit 1
"#]]
    );
    let (_, ran) = self::ran(
        &[&two(), &dev("paused")],
        &["vm", "pause", "dev", "nope", "-q", ".[].status"],
    );
    assert_eq!((ran.stdout.as_str(), ran.code), ("paused\n", 9), "{ran}");
}

#[test]
fn one_vm_is_an_object_and_chosen_ones_are_a_list() {
    let (server, one) = ran(&[&dev("paused")], &["vm", "pause", ID, "--json"]);
    assert_eq!(one.json()["status"], "paused");
    assert_eq!(
        sent(&server),
        [(format!("POST /v1/vms/{ID}/pause"), String::new())]
    );
    let list = json("200 OK", &format!("[{}]", vm(ID, "dev", "running")));
    let (server, chosen) = ran(
        &[&list, &dev("paused")],
        &[
            "vm", "pause", "-l", "env=ci", "-l", "!gone", "--status", "running", "--json",
        ],
    );
    assert_eq!(chosen.json()[0]["status"], "paused", "{chosen}");
    assert_eq!(
        sent(&server)[0].0,
        "GET /v1/vms?status=running&metadata.env=ci"
    );
}

#[test]
fn what_does_not_fit_a_condition_is_left_alone_whatever_the_server_filters() {
    let (server, ran) = ran(
        &[&two()],
        &["vm", "delete", "-l", "env=prod", "--yes", "--json"],
    );
    assert_eq!((ran.stdout.as_str(), ran.code), ("[]\n", 0), "{ran}");
    assert_eq!(server.requests().len(), 1);
    let (server, _) = self::ran(
        &[&two(), &json("200 OK", r#"{"id":"x","deleted":true}"#)],
        &[
            "vm",
            "delete",
            "--name",
            "we?",
            "--older-than",
            "1h",
            "--yes",
        ],
    );
    let deleted: Vec<_> = sent(&server).into_iter().skip(1).collect();
    assert_eq!(
        deleted,
        [(format!("DELETE /v1/vms/{OTHER}"), String::new())]
    );
}

#[test]
fn a_resume_that_is_queued_is_waited_for() {
    let queued = dev("resuming").replace("200 OK", "202 Accepted");
    let (server, ran) = ran(
        &[&queued, &dev("resuming"), &dev("running")],
        &["vm", "resume", ID, "-q", ".status"],
    );
    assert_eq!((ran.stdout.as_str(), ran.code), ("running\n", 0), "{ran}");
    assert_eq!(sent(&server)[0].0, format!("POST /v1/vms/{ID}/resume"));
    let (server, at_once) = self::ran(
        &[&queued],
        &["vm", "resume", ID, "--no-wait", "-q", ".status"],
    );
    assert_eq!(
        (at_once.stdout.as_str(), server.requests().len()),
        ("resuming\n", 1)
    );
}

#[test]
fn a_timer_that_is_not_there_cannot_be_refreshed() {
    let none = json("409 Conflict", r#"{"error":"the vm has no ttl"}"#);
    let (server, ran) = ran(&[&none], &["vm", "refresh-ttl", ID]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7: the vm has no ttl
hint: set one with `fastvm vm update 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 --ttl 2h`
--- exit 5
"#]]
    );
    assert_eq!(sent(&server)[0].0, format!("POST /v1/vms/{ID}/ttl/refresh"));
}

#[test]
fn a_wait_ends_at_once_on_a_status_that_never_gets_there() {
    let (server, ran) = ran(&[&dev("error")], &["vm", "wait", ID]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 will not be running: its status is error
--- exit 1
"#]]
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_wait_has_a_limit_of_its_own() {
    let (_, ran) = ran(
        &[&dev("running")],
        &["vm", "wait", ID, "--for", "paused", "--timeout", "200ms"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: VM 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 is still running after 200 ms
hint: see its status with `fastvm vm get 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7`, or wait longer with --timeout
--- exit 8
"#]]
    );
}

#[test]
fn a_vm_that_is_gone_is_what_a_wait_for_its_deletion_wants() {
    let gone = json("404 Not Found", r#"{"error":"no such vm"}"#);
    let (_, ran) = ran(
        &[&dev("deleting"), &gone],
        &["vm", "wait", ID, "--for", "deleted", "--json"],
    );
    assert_eq!(
        (ran.json()[0]["deleted"].as_bool(), ran.code),
        (Some(true), 0),
        "{ran}"
    );
    let (_, absent) = self::ran(&[&two()], &["vm", "wait", "nope", "--for", "deleted"]);
    assert_eq!(absent.code, 0, "{absent}");
}

#[test]
fn a_wait_for_commands_runs_one_until_it_works() {
    let not_yet = json("409 Conflict", r#"{"error":"no agent yet"}"#);
    let done = answer("200 OK", "application/x-ndjson", "{\"t\":\"x\",\"ms\":1}\n");
    let (server, ran) = ran(
        &[&dev("running"), &not_yet, &done],
        &["vm", "wait", ID, "--for", "exec", "-o", "name"],
    );
    assert_eq!((ran.stdout.as_str(), ran.code), ("dev\n", 0), "{ran}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn choosing_nothing_or_twice_is_refused_before_anything_is_sent() {
    for arguments in [
        &["vm", "pause"][..],
        &["vm", "delete", "--yes"],
        &["vm", "delete", "dev", "-l", "a=b"],
        &["vm", "delete", "--all", "--status", "running"],
        &["vm", "wait"],
        &["vm", "list", "-l", "=x"],
        &["vm", "update", "dev"],
        &["vm", "update", "dev", "--ttl", "366d"],
        &["vm", "update", "dev", "--ttl", "1h:stop"],
        &["vm", "update", "dev", "--ttl", "1h", "--no-ttl"],
    ] {
        let (server, ran) = ran(&[&two()], arguments);
        assert_eq!(
            (ran.code, server.requests().len()),
            (2, 0),
            "{arguments:?}\n{ran}"
        );
    }
}

#[test]
fn a_launch_sends_every_option_in_one_request() {
    let volumes = json(
        "200 OK",
        r#"[{"id":"c0ffee00-1111-4222-8333-444455556666","name":"data","orgId":"o","backend":"native","status":"ready","createdAt":"2026-01-02T03:04:05Z"}]"#,
    );
    let (server, ran) = ran(
        &[&volumes, &dev("running")],
        &[
            "vm",
            "launch",
            "--rule",
            "tcp:22@2001:db8::/32",
            "--volume",
            "data:/data:ro",
            "--ttl",
            "2h:delete",
            "--disk-gib",
            "5",
            "--metadata",
            "a=b",
            "-e",
            "A=1",
        ],
    );
    assert_eq!(ran.code, 0, "{ran}");
    let sent: serde_json::Value = serde_json::from_str(&sent(&server)[1].1).unwrap();
    assert_eq!(
        sent,
        serde_json::json!({
            "machineType": "c1m2",
            "metadata": {"a": "b"},
            "envVars": {"A": "1"},
            "diskGiB": 5,
            "firewall": {"mode": "restricted", "ingress": [{"protocol": "tcp", "portStart": 22, "sourceCidrs": ["2001:db8::/32"]}]},
            "ttl": {"action": "delete", "seconds": 7200},
            "volumes": [{"volumeId": "c0ffee00-1111-4222-8333-444455556666", "mountPath": "/data", "readOnly": true}],
        })
    );
}

#[test]
fn several_vms_are_launched_with_numbered_names_and_failures_are_told() {
    let (server, all) = ran(
        &[&dev("running")],
        &[
            "vm", "launch", "--count", "2", "--name", "w-{n}", "-o", "id",
        ],
    );
    assert_eq!((all.stdout.lines().count(), all.code), (2, 0), "{all}");
    let mut bodies: Vec<_> = sent(&server).into_iter().map(|(_, body)| body).collect();
    bodies.sort();
    assert_eq!(
        bodies,
        [
            r#"{"machineType":"c1m2","name":"w-1"}"#,
            r#"{"machineType":"c1m2","name":"w-2"}"#
        ]
    );
    let full = json("409 Conflict", r#"{"error":"no room"}"#);
    let (_, some) = ran(
        &[&dev("running"), &full],
        &["vm", "launch", "--count", "2", "--name", "w", "--json"],
    );
    assert_eq!(
        (some.json().as_array().unwrap().len(), some.code),
        (1, 9),
        "{some}"
    );
}

#[test]
fn a_launch_that_a_quota_refuses_says_which_and_how_much_is_left() {
    let refused = json("403 Forbidden", r#"{"error":"vcpu quota exceeded"}"#);
    let quotas = json(
        "200 OK",
        r#"{"orgId":"o","limits":{"vcpu":4,"memoryMiB":8192,"diskGiB":99,"snapshotCount":9},"usage":{"vcpu":3,"memoryMiB":1024,"diskGiB":1,"snapshotCount":0}}"#,
    );
    for command in [
        &["vm", "launch", "--type", "c2m4"][..],
        &["launch", "--no-wait", "-m", "c2m4"],
    ] {
        let (_, ran) = ran(&[&refused, &quotas], command);
        assert_data_eq!(
            ran.to_string(),
            str![[r#"
--- stderr
error: vcpu quota exceeded
hint: 1 of 4 vCPU left, 2 needed; see all with `fastvm quota`
--- exit 6
"#]]
        );
    }
}

#[test]
fn a_watch_prints_what_changes_until_it_fails() {
    let list = |status: &str| json("200 OK", &format!("[{}]", vm(ID, "dev", status)));
    let failed = json("400 Bad Request", r#"{"error":"enough"}"#);
    let (_, ran) = ran(
        &[
            &list("provisioning"),
            &list("provisioning"),
            &list("running"),
            &failed,
        ],
        &[
            "vm",
            "list",
            "--watch",
            "--interval",
            "500ms",
            "-o",
            "jsonl",
        ],
    );
    let statuses: Vec<_> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["status"].clone())
        .collect();
    assert_eq!(
        (statuses, ran.code),
        (vec!["provisioning".into(), "running".into()], 5)
    );
}

#[test]
fn wrong_launch_options_are_refused_before_anything_is_sent() {
    for options in [
        &["--rule", "tcp:0"][..],
        &["--volume", "data"],
        &["--volume", "data:/"],
        &["--ttl", "0"],
        &["--count", "0"],
        &["--disk-gib", "0"],
    ] {
        let (server, ran) = ran(&[&two()], &[&["vm", "launch"], options].concat());
        assert_eq!(
            (ran.code, server.requests().len()),
            (2, 0),
            "{options:?}\n{ran}"
        );
    }
}

#[test]
fn all_that_fail_alike_have_their_own_code_and_others_end_with_1() {
    let refused = json("409 Conflict", r#"{"error":"no"}"#);
    let invalid = json("422 Unprocessable Entity", r#"{"error":"no"}"#);
    let broken = json("500 Oops", r#"{"error":"no"}"#);
    let paused = dev("paused");
    let pause = ["vm", "pause", ID, OTHER, "--json"];
    for (answers, code, kind) in [
        ([&refused, &refused], 5, "conflict"),
        ([&refused, &invalid], 5, "all_failed"),
        ([&refused, &broken], 1, "all_failed"),
        ([&refused, &paused], 9, "partial"),
    ] {
        let answers: Vec<_> = answers.iter().map(|answer| answer.as_str()).collect();
        let (_, ran) = ran(&answers, &[&pause[..], &["--retries", "0"]].concat());
        assert_eq!(ran.code, code, "{ran}");
        let report: serde_json::Value =
            serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
        assert_eq!(report["error"]["code"], kind, "{ran}");
        assert_eq!(report["error"]["exitCode"], code, "{ran}");
    }
}

#[test]
fn a_hint_is_given_once_however_many_need_it() {
    let (_, ran) = ran(&[&two()], &["vm", "delete", "x-1", "x-2", "x-3", "--yes"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: there is no VM named "x-1"
error: there is no VM named "x-2"
error: there is no VM named "x-3"
error: 3 of 3 VMs could not be deleted
hint: list them with `fastvm vm list`
--- exit 3
"#]]
    );
    let (_, ran) = self::ran(&[&two()], &["vm", "delete", "deev", "x-2", "x-3", "--yes"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: there is no VM named "deev"
hint: did you mean dev?
error: there is no VM named "x-2"
error: there is no VM named "x-3"
hint: list them with `fastvm vm list`
error: 3 of 3 VMs could not be deleted
--- exit 3
"#]]
    );
}

#[test]
fn names_that_the_api_would_cut_to_the_same_are_refused() {
    let long = "x".repeat(70);
    let numbered = format!("{long}-{{n}}");
    let first = format!("{{n}}-{long}");
    for (command, name, is_sent) in [
        ("launch", long.as_str(), false),
        ("launch", &numbered, false),
        ("launch", &first, true),
        ("fork", &numbered, false),
    ] {
        let mut arguments = vec!["vm", command, "--count", "2", "-n", name];
        if command == "fork" {
            arguments.push(ID);
        }
        let (server, ran) = ran(&[&dev("running")], &arguments);
        assert_eq!(server.requests().is_empty(), !is_sent, "{ran}");
        if !is_sent {
            assert_eq!(ran.code, 2, "{ran}");
            assert!(
                ran.stderr.contains("cuts names after 64 characters"),
                "{ran}"
            );
        }
    }
}
