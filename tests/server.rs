//! What a bad server does, and what the user then sees.

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use snapbox::{assert_data_eq, str};

use crate::common::scripted::{answer, json};
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
const VM: &str = r#"{"id":"3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","name":"dev","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"running","createdAt":"2026-01-02T03:04:05Z","new":{"field":[1.10,12345678901234567890123]}}"#;

fn ran(answers: &[&str], arguments: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(answers);
    let ran = Home::with_server(server.url()).run(arguments);
    (server, ran)
}

/// The first lines of the requests that a server saw.
fn lines(server: &Scripted) -> Vec<String> {
    server
        .requests()
        .iter()
        .map(|request| request.lines().next().unwrap().to_owned())
        .collect()
}

#[test]
fn a_page_of_html_is_named_and_cut_to_its_words() {
    let page = answer(
        "200 OK",
        "text/html",
        "<html><body><h1>Log in</h1> to the wifi</body></html>",
    );
    let (_, ran) = ran(&[&page], &["vm", "list"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: unexpected answer from http://127.0.0.1:[..] to GET /v1/vms: an HTML page (Log in to the wifi)
hint: check the base URL with `fastvm context show`
--- exit 1
"#]]
    );
}

#[test]
fn a_proxys_error_page_is_cut_to_its_words_and_asked_for_three_times() {
    let page = answer(
        "502 Bad Gateway",
        "text/html",
        "<html><h1>502 Bad Gateway</h1><p>nginx</p></html>",
    );
    let page = page.replace("\r\n\r\n", "\r\nretry-after-ms: 1\r\n\r\n");
    let (server, ran) = ran(&[&page], &["vm", "list"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: the API failed (502): 502 Bad Gateway nginx
--- exit 1
"#]]
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_body_that_is_cut_is_a_network_failure_and_asked_for_again() {
    let cut = json("200 OK", "[]").replace("content-length: 2", "content-length: 200");
    let (server, failed) = ran(&[&cut], &["vm", "list", "--retries", "1"]);
    assert_eq!((failed.code, server.requests().len()), (7, 2), "{failed}");
    let (_, passed) = ran(&[&cut, &json("200 OK", "[]")], &["vm", "list", "--json"]);
    assert_eq!((passed.stdout.as_str(), passed.code), ("[]\n", 0));
}

#[test]
fn a_server_that_says_nothing_is_given_up_when_the_time_of_a_request_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let longest = Some(Duration::from_secs(30));
        client.set_read_timeout(longest).unwrap();
        io::copy(&mut client, &mut io::sink()).map(drop)
    });
    let home = Home::with_server(&url).set("FASTVM_TIMEOUT", "300ms");
    assert_data_eq!(
        home.run(&["vm", "list", "--retries", "0"]).to_string(),
        str![[r#"
--- stderr
error: no answer from http://127.0.0.1:[..] (from FASTVM_BASE_URL) within 0.3 s
--- exit 7
"#]]
    );
    // The client hung up by itself.
    silent.join().unwrap().unwrap();
}

#[test]
fn a_launch_is_sent_once_whatever_the_server_says() {
    for status in [
        "503 Service Unavailable",
        "429 Too Many Requests",
        "409 Conflict",
        "500 Oops",
    ] {
        let (server, ran) = ran(&[&json(status, r#"{"error":"later"}"#)], &["vm", "launch"]);
        assert_ne!(ran.code, 0);
        assert_eq!(lines(&server), ["POST /v1/vms HTTP/1.1"], "{status}");
    }
}

#[test]
fn a_launch_whose_answer_is_lost_is_not_sent_again_and_says_where_to_look() {
    let (server, ran) = ran(&[""], &["vm", "launch"]);
    assert_eq!((ran.code, server.requests().len()), (7, 1), "{ran}");
    assert!(
        ran.stderr.contains(
            "hint: the VM may exist all the same; check with `fastvm vm list` before you try again"
        ),
        "{ran}"
    );
}

#[test]
fn a_run_is_sent_once_and_exits_with_125_when_it_cannot_launch() {
    let (server, ran) = ran(
        &[&json("422 Unprocessable Entity", r#"{"detail":"no"}"#)],
        &["run", "true"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: the API refused this (422): no
--- exit 125
"#]]
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_key_is_never_sent_to_another_host() {
    let other = Scripted::new(&[&json("200 OK", "[]")]);
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let redirect = format!(
            "HTTP/1.1 {status}\r\nlocation: {}/v1/vms\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            other.url()
        );
        let (_, ran) = ran(&[&redirect], &["vm", "list"]);
        assert_eq!(ran.code, 7, "{ran}");
        assert!(ran.stderr.contains("which is not followed"), "{ran}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[test]
fn a_log_holds_no_place_that_a_redirect_leads_to() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/?token=s3cret\r\nx-shown: yes\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (_, ran) = ran(&[redirect], &["-vvv", "vm", "list"]);
    assert!(ran.stderr.contains("location: [redacted]"), "{ran}");
    assert!(ran.stderr.contains("x-shown: yes"), "{ran}");
    assert!(!ran.to_string().contains("s3cret"), "{ran}");
}

#[test]
fn a_service_is_deleted_again_until_the_server_has_done_it_and_three_times_at_most() {
    let away = json("503 Service Unavailable", r#"{"error":"busy"}"#);
    let away = away.replace("\r\n\r\n", "\r\nretry-after-ms: 1\r\n\r\n");
    let list = json(
        "200 OK",
        r#"[{"name":"web","port":80,"h2c":false,"url":"https://w"}]"#,
    );
    let delete = &["service", "delete", ID, "web", "--yes"];
    for (answers, code, tries) in [
        (vec![&list, &away, &json("204 No Content", "")], 0, 2),
        (vec![&list, &away], 1, 3),
    ] {
        let answers: Vec<&str> = answers.into_iter().map(String::as_str).collect();
        let (server, ran) = ran(&answers, delete);
        let deletes = lines(&server);
        let deletes = deletes.iter().filter(|line| line.starts_with("DELETE "));
        assert_eq!((ran.code, deletes.count()), (code, tries), "{ran}");
    }
}

#[test]
fn a_snapshot_is_waited_for_until_it_is_ready_or_cannot_be() {
    let says = |status: &str| {
        json(
            "200 OK",
            &format!(
                r#"{{"id":"5d0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","name":"s","status":"{status}"}}"#
            ),
        )
    };
    for (last, code, said) in [
        ("ready", 0, "which is ready"),
        ("error", 1, "failed: its status is error"),
    ] {
        let answers = [says("creating"), says("creating"), says(last)];
        let answers = answers.each_ref().map(String::as_str);
        let create = &["snapshot", "create", ID, "--name", "s", "--wait"];
        let (server, ran) = ran(&answers, create);
        assert_eq!(ran.code, code, "{ran}");
        assert!(ran.to_string().contains(said), "{ran}");
        assert_eq!(
            lines(&server)[1..],
            [
                "GET /v1/snapshots/5d0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 HTTP/1.1",
                "GET /v1/snapshots/5d0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 HTTP/1.1"
            ]
        );
    }
}

#[test]
fn health_without_a_key_asks_one_question_and_with_a_key_another_that_needs_it() {
    let healthy = json("200 OK", r#"{"status":"ok"}"#);
    let server = Scripted::new(&[&healthy]);
    let keyless = Home::new().set("FASTVM_BASE_URL", server.url());
    let asked = keyless.run(&["health", "-o", "json"]);
    assert_eq!((asked.code, server.requests().len()), (0, 1), "{asked}");
    let (server, ran) = ran(&[&healthy], &["health", "-o", "json"]);
    assert_eq!((ran.code, server.requests().len()), (0, 2), "{ran}");
}

#[test]
fn a_redirect_on_the_same_server_is_followed_for_a_list() {
    let redirect = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /moved\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (server, ran) = ran(
        &[redirect, &json("200 OK", "[]")],
        &["vm", "list", "-o", "json"],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "[]\n"), "{ran}");
    assert_eq!(
        lines(&server),
        ["GET /v1/vms HTTP/1.1", "GET /moved HTTP/1.1"]
    );
}

#[test]
fn json_output_is_the_servers_own_with_unknown_fields_and_numbers_as_they_came() {
    let (_, ran) = ran(
        &[&json("200 OK", &format!("[{VM}]"))],
        &["vm", "list", "--json"],
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout
            .contains("\"field\": [\n        1.10,\n        12345678901234567890123\n      ]"),
        "{ran}"
    );
}

#[test]
fn a_refused_key_says_where_it_came_from_and_never_shows_it() {
    let (_, ran) = ran(
        &[&json("401 Unauthorized", r#"{"error":"invalid api key"}"#)],
        &["-vvv", "vm", "list"],
    );
    assert_eq!(ran.code, 4);
    assert!(
        ran.stderr.contains(
            "the API does not accept the key from FASTVM_API_KEY, …6789 (401): invalid api key"
        ),
        "{ran}"
    );
    assert!(!ran.stderr.contains("fv_test_key"), "{ran}");
}

#[test]
fn statuses_become_exit_codes_and_json_errors() {
    for (status, code, exit) in [
        ("400 Bad Request", "invalid", 5),
        ("403 Forbidden", "forbidden", 4),
        ("404 Not Found", "not_found", 3),
        ("409 Conflict", "conflict", 5),
        ("413 Too Large", "invalid", 5),
        ("429 Slow Down", "rate_limited", 6),
        ("500 Oops", "server", 1),
    ] {
        let body =
            json(status, r#"{"error":"why"}"#).replace("\r\n\r\n", "\r\nx-request-id: r-7\r\n\r\n");
        let (_, ran) = ran(&[&body], &["--retries", "0", "-o", "json", "quota"]);
        let error = ran.error();
        assert_eq!((ran.code, ran.stdout.as_str()), (exit, ""), "{ran}");
        assert_eq!(error["code"], code, "{ran}");
        assert_eq!(error["exitCode"], exit);
        assert_eq!(error["requestId"], "r-7");
        assert_eq!(error["status"].to_string(), status[..3]);
    }
}

#[test]
fn a_quota_that_is_met_is_told_apart_from_a_forbidden_key() {
    let (_, ran) = ran(
        &[&json("403 Forbidden", r#"{"error":"vcpu quota exceeded"}"#)],
        &["vm", "launch"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: vcpu quota exceeded
hint: see what is used with `fastvm quota`
--- exit 6
"#]]
    );
}

#[test]
fn control_characters_of_a_server_are_made_visible() {
    let evil = VM.replace(
        r#""name":"dev""#,
        r#""name":"\u001b[31mred\nfake row\u009b""#,
    );
    let (_, ran) = ran(
        &[&json("200 OK", &format!("[{evil}]"))],
        &["vm", "list", "--no-header"],
    );
    assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
    assert!(!ran.stdout.contains(['\u{1b}', '\u{9b}']), "{ran}");
}

#[test]
fn waiting_ends_with_8_at_its_deadline_and_says_that_the_vm_is_there() {
    let queued = VM.replace("running", "warming-up");
    let accepted = json("202 Accepted", &queued);
    let (server, ran) = ran(
        &[&accepted, &json("200 OK", &queued)],
        &["vm", "launch", "--wait-timeout", "300ms"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: dev (3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7) is still warming-up after 300 ms
hint: the VM is still there; delete it with `fastvm vm delete 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7`
--- exit 8
"#]]
    );
    assert_eq!(
        lines(&server)
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        1
    );
}

#[test]
fn waiting_fails_at_once_on_a_status_that_never_runs() {
    for status in ["error", "stopped", "deleting"] {
        let vm = json("200 OK", &VM.replace("running", status));
        let (_, ran) = ran(
            &[
                &json("202 Accepted", &VM.replace("running", "provisioning")),
                &vm,
            ],
            &["vm", "launch"],
        );
        assert_eq!(ran.code, 1, "{ran}");
        assert!(
            ran.stderr
                .contains(&format!("will not run: its status is {status}")),
            "{ran}"
        );
    }
}

#[test]
fn the_final_state_is_printed_after_a_wait_and_the_first_one_without() {
    let accepted = json("202 Accepted", &VM.replace("running", "provisioning"));
    let running = json("200 OK", VM);
    let status = ["-q", ".status"];
    let (_, waited) = ran(
        &[&accepted, &running],
        &[&["vm", "launch"], &status[..]].concat(),
    );
    assert_eq!(waited.stdout, "running\n");
    let (server, at_once) = ran(
        &[&accepted, &running],
        &[&["vm", "launch", "--no-wait"], &status[..]].concat(),
    );
    assert_eq!(
        (at_once.stdout.as_str(), server.requests().len()),
        ("provisioning\n", 1)
    );
}

#[test]
fn a_name_costs_one_list_and_a_full_id_none() {
    let one = json("200 OK", VM);
    let (server, _) = ran(
        &[&json("200 OK", &format!("[{VM}]")), &one],
        &["vm", "get", "dev"],
    );
    assert_eq!(lines(&server)[0], "GET /v1/vms HTTP/1.1");
    assert_eq!(server.requests().len(), 2);
    let (server, _) = ran(
        &[&one],
        &["vm", "get", "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"],
    );
    assert_eq!(
        lines(&server),
        ["GET /v1/vms/3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7 HTTP/1.1"]
    );
}

#[test]
fn deleting_several_tells_of_each_and_ends_with_9_when_only_some_went() {
    let twin = VM.replace("3f0c2a52", "4f0c2a52").replace("dev", "web");
    let list = json("200 OK", &format!("[{VM},{twin}]"));
    let gone = json("200 OK", r#"{"id":"x","deleted":true}"#);
    let (_, ran) = ran(&[&list, &gone], &["vm", "delete", "dev", "nope", "--yes"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
deleted dev (3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7)
error: there is no VM named "nope"
error: 1 of 2 VMs could not be deleted
hint: list them with `fastvm vm list`
--- exit 9
"#]]
    );
}

#[test]
fn a_delete_without_a_terminal_needs_yes() {
    let (server, ran) = ran(
        &[&json("200 OK", "[]")],
        &["vm", "delete", "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"],
    );
    assert_eq!((ran.code, server.requests().len()), (2, 0), "{ran}");
    assert!(ran.stderr.contains("--yes"), "{ran}");
}

#[test]
fn an_empty_post_is_json_with_a_length() {
    let (server, _) = ran(&[&json("201 Created", VM)], &["vm", "launch"]);
    let request = server.requests().remove(0).to_lowercase();
    for header in [
        "content-type: application/json",
        "x-api-key: fv_test_key_0123456789",
        "accept: application/json",
    ] {
        assert!(request.contains(header), "{header} in {request}");
    }
}

#[test]
fn an_interrupted_wait_says_that_the_vm_is_there_and_how_to_delete_it() {
    let queued = VM.replace("running", "provisioning");
    let server = Scripted::new(&[&json("202 Accepted", &queued), &json("200 OK", &queued)]);
    let home = Home::with_server(server.url());
    let child = home
        .command(&["vm", "launch"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first question after the launch says that it waits.
    while server.requests().len() < 2 {
        std::thread::yield_now();
    }
    std::process::Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status()
        .unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: interrupted
hint: the VM is still there; delete it with `fastvm vm delete 3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7`
--- exit 130
"#]]
    );
    assert_eq!(
        lines(&server)
            .iter()
            .filter(|line| line.starts_with("POST"))
            .count(),
        1
    );
}
