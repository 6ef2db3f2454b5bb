//! Running programs, buffered and streaming.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::rig::Rig;

/// All events of a streaming exec: stdout, stderr and the exit line.
async fn stream(rig: &Rig, id: &str, request: Value) -> (Vec<u8>, Vec<u8>, Value) {
    let answer = rig
        .request("POST", &format!("/v1/vms/{id}/exec"))
        .header("accept", "application/x-ndjson")
        .body(request.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let body = answer.bytes().await.unwrap();
    let (mut stdout, mut stderr, mut exit) = (Vec::new(), Vec::new(), Value::Null);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        assert!(exit.is_null(), "something came after the exit line");
        let event: Value = serde_json::from_slice(line).unwrap();
        let data = || STANDARD.decode(event["d"].as_str().unwrap()).unwrap();
        match event["t"].as_str().unwrap() {
            "o" => stdout.extend(data()),
            "e" => stderr.extend(data()),
            "x" => exit = event,
            other => panic!("{other}"),
        }
    }
    (stdout, stderr, exit)
}

#[tokio::test]
async fn a_program_gets_its_words_and_input_exactly() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let run = rig.exec(&id, &["printf", "%s|", "a b", "", "ü\n$x"]).await;
    assert_eq!(run["stdout"], "a b||ü\n$x|");
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let request = json!({ "command": ["cat"], "stdin": STANDARD.encode(&bytes) });
    let (stdout, stderr, exit) = stream(&rig, &id, request).await;
    assert!(stdout == bytes && stderr.is_empty());
    assert_eq!(
        (&exit["c"], &exit["to"], exit["ms"].is_number()),
        (&Value::Null, &Value::Null, true)
    );
    // A program that does not read its input is none the worse for it.
    let request = json!({ "command": ["true"], "stdin": STANDARD.encode(&bytes) });
    assert_eq!(rig.exec_with(&id, request).await["exitCode"], 0);
    assert_eq!(rig.exec(&id, &["cat"]).await["stdout"], "");
}

#[tokio::test]
async fn exit_codes_tell_how_it_ended() {
    let rig = Rig::start();
    let id = rig.vm().await;
    for (command, code) in [
        (vec!["sh", "-c", "exit 7"], 7),
        (vec!["sh", "-c", "kill -9 $$"], 137),
        (vec!["no-such-program"], 127),
        (vec!["/etc"], 126),
    ] {
        assert_eq!(
            rig.exec(&id, &command).await["exitCode"],
            code,
            "{command:?}"
        );
    }
    let request = json!({ "command": ["sh", "-c", "echo a; sleep 60"], "timeoutSec": 1 });
    let run = rig.exec_with(&id, request.clone()).await;
    assert_eq!(
        (&run["exitCode"], &run["timedOut"], &run["stdout"]),
        (&json!(124), &json!(true), &json!("a\n"))
    );
    let (stdout, _, exit) = stream(&rig, &id, request).await;
    assert_eq!(
        (stdout.as_slice(), &exit["c"], &exit["to"]),
        (&b"a\n"[..], &json!(124), &json!(true))
    );
}

#[tokio::test]
async fn much_output_is_exact_in_both_modes() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let script =
        "head -c 10000000 /dev/zero | tr '\\0' x; head -c 5000000 /dev/zero | tr '\\0' y >&2";
    let (stdout, stderr, _) = stream(&rig, &id, json!({ "command": ["sh", "-c", script] })).await;
    assert!(stdout.len() == 10_000_000 && stdout.iter().all(|byte| *byte == b'x'));
    assert!(stderr.len() == 5_000_000 && stderr.iter().all(|byte| *byte == b'y'));
    let run = rig.exec(&id, &["sh", "-c", script]).await;
    assert_eq!(run["stdout"].as_str().unwrap().len(), 4 * 1024 * 1024);
    assert_eq!(
        (&run["stdoutTruncated"], &run["stderrTruncated"]),
        (&json!(true), &json!(true))
    );
    let run = rig.exec(&id, &["printf", "\\303"]).await;
    assert_eq!(
        (&run["stdout"], &run["stdoutTruncated"]),
        (&json!("\u{fffd}"), &json!(false))
    );
}

#[tokio::test]
async fn a_child_in_the_background_neither_holds_the_answer_nor_dies_of_it() {
    let rig = Rig::start();
    let id = rig.vm().await;
    // It would be gone if the answer came after its end.
    let run = rig.exec(&id, &["sh", "-c", "sleep 300 & echo $!"]).await;
    let pid = run["stdout"].as_str().unwrap().trim();
    assert_eq!(rig.exec(&id, &["kill", "-0", pid]).await["exitCode"], 0);
}

#[tokio::test]
async fn a_program_ends_when_its_caller_goes() {
    let rig = Rig::start();
    let id = rig.vm().await;
    for accept in ["application/x-ndjson", "application/json"] {
        let request = json!({ "command": ["sh", "-c", "echo $$ > /root/pid; sleep 300"] });
        let call = rig
            .request("POST", &format!("/v1/vms/{id}/exec"))
            .header("accept", accept)
            .body(request.to_string());
        let running = tokio::spawn(async move { call.send().await?.bytes().await });
        let wait = "until pid=$(cat /root/pid 2>/dev/null) && [ \"$pid\" ]; do sleep 0.01; done; rm /root/pid; echo $pid";
        let run = rig.exec(&id, &["sh", "-c", wait]).await;
        let pid = run["stdout"].as_str().unwrap().trim().to_owned();
        running.abort();
        let gone =
            "for i in $(seq 500); do kill -0 $1 2>/dev/null || exit 0; sleep 0.01; done; exit 1";
        assert_eq!(
            rig.exec(&id, &["sh", "-c", gone, "sh", &pid]).await["exitCode"],
            0,
            "{accept}"
        );
    }
}

#[tokio::test]
async fn bad_requests_run_nothing() {
    let rig = Rig::start();
    let id = rig.vm().await;
    for bad in [
        json!({}),
        json!({ "command": [] }),
        json!({ "command": [""] }),
        json!({ "command": ["a\0b"] }),
        json!({ "command": ["true"], "timeoutSec": 0 }),
        json!({ "command": ["true"], "stdin": "?" }),
    ] {
        let (status, answer) = rig
            .send("POST", &format!("/v1/vms/{id}/exec"), bad.to_string())
            .await;
        assert_eq!(
            (status, answer["error"].is_string()),
            (400, true),
            "{bad} {answer}"
        );
    }
    let large = format!(
        "{{\"command\":[\"true\"],\"stdin\":\"{}\"}}",
        "A".repeat(16 * 1024 * 1024)
    );
    assert_eq!(
        rig.send("POST", &format!("/v1/vms/{id}/exec"), large)
            .await
            .0,
        413
    );
}
