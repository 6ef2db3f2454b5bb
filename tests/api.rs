//! `fastvm api` and `--dry-run`: any request as it is typed, and none of those that change something.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::{answer, json};
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

fn ran(answers: &[&str], arguments: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    (server, ran)
}

fn sent(server: &Scripted) -> Vec<String> {
    let requests = server.requests();
    let lines = requests.iter().map(|request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().replace(" HTTP/1.1", "");
        format!("{line} {body}").trim_end().to_owned()
    });
    lines.collect()
}

#[test]
fn a_method_fields_and_headers_are_sent_as_they_are_typed() {
    for (arguments, request) in [
        (&["/v1/vms?status=x%20y"][..], "GET /v1/vms?status=x%20y"),
        (
            &["GET", "v1/vms", "-f", "status=a b"],
            "GET /v1/vms?status=a+b",
        ),
        (
            &["v1/x", "-F", "n=1", "-f", "t=1"],
            r#"POST /v1/x {"n":1,"t":"1"}"#,
        ),
        (
            &["-X", "patch", "v1/x", "-F", "a[b]=null"],
            r#"PATCH /v1/x {"a":{"b":null}}"#,
        ),
        (&["DELETE", "v1/x"], "DELETE /v1/x"),
    ] {
        let (server, ran) = ran(&[&json("200 OK", "[1]")], &[&["api"], arguments].concat());
        assert_eq!((ran.stdout.as_str(), ran.code), ("[\n  1\n]\n", 0), "{ran}");
        assert_eq!(sent(&server), [request]);
    }
    let (server, _) = ran(
        &[&json("200 OK", "[1]")],
        &["api", "v1/vms", "-H", "accept: text/x", "-q", ".[]"],
    );
    assert!(
        server.requests()[0]
            .to_lowercase()
            .contains("accept: text/x\r\n")
    );
    assert!(
        !server.requests()[0]
            .to_lowercase()
            .contains("application/json")
    );
}

#[test]
fn a_body_comes_from_a_file_and_an_answer_of_any_type_goes_out_as_it_came() {
    let server = Scripted::new(&[&answer("200 OK", "text/plain", "a\u{1}b")]);
    let home = Home::with_server(server.url());
    std::fs::write(home.join("body"), "{ }").unwrap();
    let ran = home.run(&["api", "PUT", "/v1/x", "--input", "body", "-i"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
HTTP/1.1 200 OK
content-type: text/plain
content-length: 3
connection: close

a[..]b--- exit 0
"#]]
    );
    assert_eq!(sent(&server), ["PUT /v1/x { }"]);
}

#[test]
fn a_failure_prints_its_body_and_exits_by_its_status() {
    let (server, ran) = ran(
        &[&json("503 Oops", r#"{"error":"why"}"#)],
        &["api", "/v1/x"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
{
  "error": "why"
}
--- stderr
error: the API failed (503): why
--- exit 1
"#]]
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_key_goes_to_no_other_host_and_comes_from_no_header() {
    for arguments in [
        &["api", "http://other.example/v1/vms"][..],
        &["api", "/v1/vms", "-H", "X-API-Key: s3cret"],
        &["api", "GET", "/v1/vms", "-X", "GET"],
        &["api", "/v1/vms", "-f", "novalue"],
    ] {
        let (server, ran) = ran(&[&json("200 OK", "[]")], arguments);
        assert_eq!((ran.code, server.requests().len()), (2, 0), "{ran}");
    }
    let (server, _) = ran(&[&json("200 OK", "[]")], &["api", "@other.example/x"]);
    assert_eq!(sent(&server), ["GET /@other.example/x"]);
}

#[test]
fn a_dry_run_prints_runnable_requests_and_sends_none_that_changes_something() {
    let (server, ran) = ran(
        &[&json("200 OK", "[]")],
        &[
            "--dry-run",
            "vm",
            "launch",
            "--name",
            "it's",
            "-e",
            "A=s3cret",
        ],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
curl -X POST http://127.0.0.1:[..]/v1/vms -H "X-API-Key: $FASTVM_API_KEY" -H 'Accept: application/json' -H 'Content-Type: application/json' --data-raw '{"machineType":"c1m2","name":"it'[..]'s","envVars":"[redacted]"}'
--- exit 0
"#]]
    );
    assert_eq!(server.requests().len(), 0);
    let list = json(
        "200 OK",
        &format!(
            r#"[{{"id":"{ID}","name":"dev","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"running","createdAt":"2026-01-02T03:04:05Z"}}]"#
        ),
    );
    for (arguments, request) in [
        (
            &["vm", "delete", "dev"][..],
            format!("curl -X DELETE URL/v1/vms/{ID}"),
        ),
        (
            &["vm", "pause", "--all"],
            format!("curl -X POST URL/v1/vms/{ID}/pause"),
        ),
        (
            &["exec", "dev", "true"],
            format!("curl -X POST URL/v1/vms/{ID}/exec"),
        ),
        (
            &["vm", "launch", "--count", "1"],
            "curl -X POST URL/v1/vms".to_owned(),
        ),
    ] {
        let (server, ran) = self::ran(&[&list], &[&["--dry-run"], arguments].concat());
        let shown = ran.stdout.replace(server.url(), "URL");
        assert!(shown.starts_with(&request), "{arguments:?}\n{ran}");
        assert_eq!(
            (ran.code, ran.stdout.lines().count(), ran.stderr.as_str()),
            (0, 1, ""),
            "{ran}"
        );
        assert!(
            sent(&server)
                .iter()
                .all(|request| request.starts_with("GET "))
        );
    }
    let (_, programs) = self::ran(&[&list], &["--dry-run", "--json", "vm", "pause", "dev"]);
    assert_eq!(
        (programs.stdout.as_str(), programs.code),
        ("", 0),
        "{programs}"
    );
    assert!(programs.stderr.starts_with("curl "), "{programs}");
    let (_, here) = self::ran(
        &[&list],
        &["--dry-run", "config", "set", "base_url", "http://127.0.0.1"],
    );
    assert_eq!(here.code, 2, "{here}");
}

#[test]
fn items_of_a_list_are_filled_in_the_order_they_are_typed_in() {
    let fields = [
        "-f",
        "r[][protocol]=tcp",
        "-F",
        "r[][port]=22",
        "-f",
        "r[][from][]=a",
        "-f",
        "r[][from][]=b",
        "-f",
        "r[][protocol]=udp",
        "-F",
        "r[][port]=53",
        "-F",
        "none[]",
    ];
    let (server, _) = ran(
        &[&json("200 OK", "{}")],
        &[&["api", "v1/x"], &fields[..]].concat(),
    );
    assert_eq!(
        sent(&server),
        [
            r#"POST /v1/x {"r":[{"protocol":"tcp","port":22,"from":["a","b"]},{"protocol":"udp","port":53}],"none":[]}"#
        ]
    );
}

#[test]
fn a_filter_is_not_run_on_what_a_failure_says() {
    let refused = json("400 Bad Request", r#"{"error":"why"}"#);
    let (_, ran) = ran(&[&refused], &["api", "v1/x", "-q", ".[].id"]);
    assert_eq!(ran.code, 5, "{ran}");
    assert_eq!(ran.json(), serde_json::json!({"error": "why"}));
    assert!(!ran.stderr.contains("jq"), "{ran}");
}

#[test]
fn a_dry_run_shows_every_request_with_names_for_ids_that_are_not_known() {
    let one = format!(r#"{{"id":"{ID}","name":"dev","status":"running"}}"#);
    let list = json("200 OK", &format!("[{one}]"));
    let launch = |body: &str| format!("POST /v1/vms {body}");
    let snapshot = |name: &str| format!(r#"POST /v1/snapshots {{"vmId":"{ID}","name":"{name}"}}"#);
    let (fork, gone) = (
        snapshot("fork-*"),
        "DELETE /v1/snapshots/SNAPSHOT_ID ".to_owned(),
    );
    let exec = r#"POST /v1/vms/VM_ID/exec {"command":["sh","-c","true"]}"#.to_owned();
    let (end, replaced) = (
        "DELETE /v1/vms/VM_ID ".to_owned(),
        format!("DELETE /v1/vms/{ID} "),
    );
    for (arguments, requests) in [
        (
            &["vm", "fork", "dev", "--count", "2", "-n", "w"][..],
            vec![
                fork.clone(),
                launch(r#"{"snapshotId":"SNAPSHOT_ID","name":"w-1"}"#),
                launch(r#"{"snapshotId":"SNAPSHOT_ID","name":"w-2"}"#),
                gone.clone(),
            ],
        ),
        (
            &["vm", "fork", "dev", "--keep-snapshot"],
            vec![
                snapshot("kept-fork-*"),
                launch(r#"{"snapshotId":"SNAPSHOT_ID"}"#),
            ],
        ),
        (
            &["run", "--no-lease", "true"],
            vec![
                launch(r#"{"machineType":"c1m2","metadata":*}"#),
                exec.clone(),
                end.clone(),
            ],
        ),
        (
            &["run", "--from", "dev", "--keep", "true"],
            vec![
                fork.clone(),
                launch(r#"{"snapshotId":"SNAPSHOT_ID","metadata":*}"#),
                gone.clone(),
                exec.clone(),
            ],
        ),
        (
            &["vm", "launch", "-n", "dev", "--if-exists", "replace"],
            vec![replaced, launch(r#"{"machineType":"c1m2","name":"dev"}"#)],
        ),
        (
            &["exec", "dev", ID, "--", "true"],
            vec![format!(
                r#"POST /v1/vms/{ID}/exec {{"command":["sh","-c","true"]}}"#
            )],
        ),
        (
            &["exec", "--all", "true"],
            vec![format!(
                r#"POST /v1/vms/{ID}/exec {{"command":["sh","-c","true"]}}"#
            )],
        ),
    ] {
        let (server, ran) = ran(&[&list], &[&["--dry-run"], arguments].concat());
        let shown: Vec<_> = ran
            .stdout
            .lines()
            .map(|line| typed(line, server.url()))
            .collect();
        assert_eq!(shown, requests, "{arguments:?}\n{ran}");
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
        let is_read = |request: &String| request.starts_with("GET ");
        assert!(sent(&server).iter().all(is_read));
    }
}

/// The request of a curl command: method, path and body. A `*` stands for what differs from run to run.
fn typed(line: &str, url: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let body = line.split_once("--data-raw '").map_or("", |(_, body)| body);
    let mut body = body.trim_end_matches('\'').to_owned();
    for (start, end) in [("fork-", "\""), ("\"metadata\":", "}}")] {
        if let Some(at) = body.find(start) {
            let from = at + start.len();
            let to = from + body[from..].find(end).unwrap();
            let to = to + end.len() - 1;
            body.replace_range(from..to, "*");
        }
    }
    format!("{} {} {body}", words[2], words[3].replace(url, ""))
}
