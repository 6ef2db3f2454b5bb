//! Streams of a command's output that are cut, odd or huge.

use snapbox::{assert_data_eq, str};

use crate::common::scripted::{json, stream};
use crate::common::{Home, Ran, Scripted};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

fn exec(lines: &str, options: &[&str]) -> (Scripted, Ran) {
    let server = Scripted::new(&[&stream(lines)]);
    let arguments = [&["exec"], options, &[ID, "--", "some", "command"]].concat();
    let ran = Home::with_server(server.url()).run(&arguments);
    (server, ran)
}

#[test]
fn output_goes_to_its_stream_and_the_exit_code_is_the_commands() {
    let (_, ran) = exec(
        "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"e\",\"d\":\"ZXJyCg==\"}\n{\"t\":\"x\",\"c\":3}\n",
        &[],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
out
--- stderr
err
--- exit 3
"#]]
    );
}

#[test]
fn a_stream_without_its_exit_event_is_lost_and_never_a_success() {
    for lines in [
        "",
        "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n",
        "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"x\",",
        "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"o\",\"d\":\"b3V",
    ] {
        let (server, ran) = exec(lines, &[]);
        assert_eq!((ran.code, server.requests().len()), (125, 1), "{ran}");
        assert!(ran.stderr.contains("outcome is unknown"), "{ran}");
        assert_eq!(ran.stdout, if lines.is_empty() { "" } else { "out\n" });
    }
}

#[test]
fn unknown_events_keys_blank_lines_and_carriage_returns_are_skipped() {
    let lines = "\r\n{\"t\":\"hello\",\"d\":7}\n{\"t\":\"o\",\"d\":\"YQ==\",\"more\":[{}]}\r\n\n{\"t\":\"x\"}";
    let (_, ran) = exec(lines, &[]);
    assert_eq!((ran.stdout.as_str(), ran.code), ("a", 0), "{ran}");
}

#[test]
fn bytes_arrive_as_they_are_also_when_an_event_cuts_a_character() {
    let (_, ran) = exec(
        "{\"t\":\"o\",\"d\":\"ww==\"}\n{\"t\":\"o\",\"d\":\"qQo=\"}\n{\"t\":\"x\"}\n",
        &[],
    );
    assert_eq!(ran.stdout, "é\n");
}

#[test]
fn a_line_of_ten_megabytes_is_one_event() {
    let data = "QUFB".repeat(2_500_000);
    let (_, ran) = exec(
        &format!("{{\"t\":\"o\",\"d\":\"{data}\"}}\n{{\"t\":\"x\"}}\n"),
        &[],
    );
    assert_eq!((ran.stdout.len(), ran.code), (7_500_000, 0));
}

#[test]
fn a_time_limit_that_is_met_is_124() {
    let (server, ran) = exec(
        "{\"t\":\"x\",\"c\":124,\"to\":true,\"ms\":30004}\n",
        &["--timeout", "30s"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
warning: the command reached its time limit of 30 s
--- exit 124
"#]]
    );
    assert!(server.requests()[0].contains("\"timeoutSec\":30"));
}

#[test]
fn json_is_one_object_with_the_true_exit_code() {
    let (_, ran) = exec(
        "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"x\",\"c\":3,\"ms\":7}\n",
        &["-o", "json"],
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
{
  "exitCode": 3,
  "stdout": "out/n",
  "stderr": "",
  "timedOut": false,
  "stdoutTruncated": false,
  "stderrTruncated": false,
  "durationMs": 7
}
--- exit 3
"#]]
    );
}

#[test]
fn output_that_is_no_utf8_is_base64_in_json() {
    let (_, ran) = exec(
        "{\"t\":\"o\",\"d\":\"/w==\"}\n{\"t\":\"x\"}\n",
        &["--json", "-q", "[.encoding, .stdout]"],
    );
    assert_eq!(ran.stdout, "[\"base64\",\"/w==\"]\n", "{ran}");
}

#[test]
fn jsonl_is_the_events() {
    let (_, ran) = exec(
        "{\"t\":\"o\",\"d\":\"YQ==\"}\n{\"t\":\"x\"}\n",
        &["-o", "jsonl"],
    );
    assert_eq!(
        ran.stdout,
        "{\"t\":\"o\",\"d\":\"YQ==\"}\n{\"t\":\"x\",\"c\":0}\n"
    );
}

#[test]
fn the_argv_arrives_as_it_was_typed() {
    let server = Scripted::new(&[&stream("{\"t\":\"x\"}\n")]);
    let home = Home::with_server(server.url());
    home.ok(&[
        "exec", ID, "--", "printf", "%s\\n", "a  b", "c'd", "$HOME", "", "-x", "--json",
    ]);
    home.ok(&["exec", ID, "grep", "--help"]);
    home.ok(&["exec", ID, "ls | wc -l"]);
    let bodies: Vec<serde_json::Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap())
        .collect();
    assert_eq!(
        bodies[0]["command"],
        serde_json::json!([
            "printf", "%s\\n", "a  b", "c'd", "$HOME", "", "-x", "--json"
        ])
    );
    assert_eq!(bodies[1]["command"], serde_json::json!(["grep", "--help"]));
    assert_eq!(
        bodies[2]["command"],
        serde_json::json!(["sh", "-c", "ls | wc -l"])
    );
}

#[test]
fn a_command_is_never_sent_twice() {
    let server = Scripted::new(&[&json("503 Service Unavailable", r#"{"error":"busy"}"#)]);
    let ran = Home::with_server(server.url()).run(&["exec", ID, "true"]);
    assert_eq!((ran.code, server.requests().len()), (125, 1), "{ran}");
}

#[test]
fn a_server_that_cannot_stream_is_understood() {
    let body = r#"{"exitCode":4,"stdout":"o","stderr":"e","timedOut":false,"stdoutTruncated":true,"stderrTruncated":false,"durationMs":1}"#;
    let server = Scripted::new(&[&json("200 OK", body)]);
    let ran = Home::with_server(server.url()).run(&["exec", ID, "true"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
o--- stderr
ewarning: the server dropped output over its limit of 4 MiB
--- exit 4
"#]]
    );
}
