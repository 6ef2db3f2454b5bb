//! What the library promises beside the calls themselves: streams, errors with their sources, no secret in them, and no
//! environment that nobody asked for.
#![expect(clippy::unwrap_used, reason = "the whole crate is tests")]

use std::error::Error as StdError;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fastvm_api::exec::{Event, Output};
use fastvm_api::secret::SignedUrl;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::{Client, Error, StatusCode};
use futures_util::TryStreamExt as _;

const SECRET: &str = "s3cret-0123456789";

/// Reads one request, head and body, off a connection.
fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = connection.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(count > 0, "{text}");
            continue;
        };
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if body.len() >= length {
            return;
        }
    }
}

/// A server that answers each connection with the same bytes, then closes it.
fn answering(answer: String) -> String {
    answering_in_turn(std::iter::repeat(answer))
}

/// A server that gives each connection the next answer, then closes it.
fn answering_in_turn(answers: impl Iterator<Item = String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (connection, answer) in listener.incoming().zip(answers) {
            let mut connection = connection.unwrap();
            read_request(&mut connection);
            connection.write_all(answer.as_bytes()).ok();
        }
    });
    url
}

fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn client(url: &str) -> Client {
    let builder = Client::builder(url).api_key(SECRET).retries(0);
    builder.build().unwrap()
}

/// The error and its sources, outermost first.
fn chain(error: &Error) -> Vec<&(dyn StdError + 'static)> {
    let mut chain: Vec<&(dyn StdError + 'static)> = vec![error];
    while let Some(source) = chain[chain.len() - 1].source() {
        chain.push(source);
    }
    chain
}

/// Fails if an error, or one of its sources, shows the secret.
fn assert_no_secret(error: &Error) {
    for each in chain(error) {
        let shown = format!("{each} {each:?} {each:#?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

async fn failed_download(url: &str) -> Error {
    let url = SignedUrl::new(format!("{url}/object?signature={SECRET}"));
    let client = client("http://127.0.0.1:1");
    let stream = match client.get_object(&url, 0).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    stream.try_collect::<Vec<_>>().await.unwrap_err()
}

#[tokio::test]
async fn a_failed_connection_keeps_its_source_and_no_signature() {
    let error = failed_download("http://127.0.0.1:1").await;
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_no_secret(&error);
    let refused = chain(&error).into_iter().any(|error| {
        let error = error.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    });
    assert!(refused, "{error:?}");
}

#[tokio::test]
async fn a_broken_or_refused_download_shows_no_signature() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned();
    let error = failed_download(&answering(cut)).await;
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert!(error.may_pass() && chain(&error).len() > 1, "{error:?}");
    assert_no_secret(&error);
    let body = format!("<Error><Signature>{SECRET}</Signature></Error>");
    let error = failed_download(&answering(http("403 Forbidden", "text/xml", &body))).await;
    assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    assert_no_secret(&error);
}

#[tokio::test]
async fn a_server_that_repeats_secrets_is_not_quoted_with_them() {
    let said = format!(r#"{{"error":"key {SECRET} cannot get http://h/o?x={SECRET}"}}"#);
    let url = answering(http("409 Conflict", "application/json", &said));
    let error = client(&url).get_vm("i").await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::CONFLICT));
    assert_no_secret(&error);
    let text = "key [redacted] cannot get http://h/o?[redacted]";
    assert_eq!(error.server_message(), Some(text));
}

#[tokio::test]
async fn an_answer_that_is_no_json_keeps_what_the_reader_says() {
    let url = answering(http("200 OK", "application/json", "{\"a\": tru}"));
    let error = client(&url).get_vm("i").await.unwrap_err();
    assert!(error.is_unexpected() && error.is_answer_lost(), "{error:?}");
    let source = error.source().unwrap();
    assert!(source.is::<serde_json::Error>(), "{source:?}");
}

#[tokio::test]
async fn a_refusal_names_the_source_of_the_key_only_if_it_is_known() {
    let answer = http("401 Unauthorized", "application/json", r#"{"error":"no"}"#);
    let url = answering(answer);
    let error = client(&url).quotas().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the API does not accept the key (401): no"
    );
    let builder = Client::builder(&url).api_key(SECRET).key_source("a file");
    let error = builder.build().unwrap().quotas().await.unwrap_err();
    let text = "the API does not accept the key from a file (401): no";
    assert_eq!(error.to_string(), text);
}

const EXEC: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_stream_ends_after_the_exit_of_its_command() {
    let lines = r#"{"t":"o","d":"YQ=="}
{"t":"e","d":"Yg=="}
{"t":"x","c":3}
{"t":"o","d":"Yw=="}
"#;
    let client = client(&answering(format!("{EXEC}{lines}")));
    let command = ExecRequest::new(["true"]);
    let stream = client.exec("i", &command).await.unwrap();
    let events: Vec<Event> = stream.try_collect().await.unwrap();
    let [Event::Stdout(out), Event::Stderr(err), Event::Exit(status)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((&out[..], &err[..], status.code), (&b"a"[..], &b"b"[..], 3));
    assert!(!status.is_success());
    let stream = client.exec("i", &command).await.unwrap();
    let Output {
        stdout,
        stderr,
        status,
    } = stream.output().await.unwrap();
    assert_eq!(
        (&stdout[..], &stderr[..], status.code),
        (&b"a"[..], &b"b"[..], 3)
    );
}

#[tokio::test]
async fn a_stream_without_its_exit_ends_with_an_error() {
    let client = client(&answering(format!("{EXEC}{}\n", r#"{"t":"o","d":"YQ=="}"#)));
    let command = ExecRequest::new(["true"]);
    let mut stream = client.exec("i", &command).await.unwrap();
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        Event::Stdout(b"a".to_vec())
    );
    let lost = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::StreamLost { .. }), "{lost:?}");
    assert!(stream.next().await.is_none());
    let lost = client.exec("i", &command).await.unwrap().output().await;
    assert!(matches!(lost, Err(Error::StreamLost { .. })), "{lost:?}");
}

#[tokio::test]
async fn output_of_a_vm_that_says_too_much_is_an_error() {
    let client = client(&answering(format!(
        "{EXEC}{}\n{}\n",
        r#"{"t":"o","d":"YWI="}"#, r#"{"t":"x"}"#
    )));
    let command = ExecRequest::new(["true"]);
    let stream = client.exec("i", &command).await.unwrap();
    assert_eq!(stream.output_up_to(2).await.unwrap().stdout, b"ab");
    let stream = client.exec("i", &command).await.unwrap();
    let refused = stream.output_up_to(1).await;
    assert!(
        matches!(refused, Err(Error::Unexpected { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_timer_is_renewed_until_no_later_try_can_help() {
    let refusal = |status: &str, message: &str| {
        let body = format!(r#"{{"error":"{message}"}}"#);
        http(status, "application/json", &body)
    };
    let answers = [
        http("200 OK", "application/json", r#"{"id":"i"}"#),
        refusal("409 Conflict", "vm i is paused"),
        refusal("401 Unauthorized", "no such key"),
        http("200 OK", "application/json", r#"{"id":"i"}"#),
        refusal("409 Conflict", "vm i has no ttl"),
    ];
    let client = client(&answering_in_turn(answers.into_iter()));
    let mut failures = Vec::new();
    let length = Duration::from_millis(30);
    let last = client
        .keep_ttl("i", length, |error| failures.push(error.status().unwrap()))
        .await;
    assert_eq!(failures, [StatusCode::CONFLICT, StatusCode::UNAUTHORIZED]);
    assert!(last.to_string().contains("has no ttl"), "{last}");
}

#[tokio::test]
async fn a_cancelled_next_loses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (go, may_go) = mpsc::channel();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        read_request(&mut connection);
        let half = format!("{EXEC}{}", r#"{"t":"o","#);
        connection.write_all(half.as_bytes()).unwrap();
        may_go.recv().unwrap();
        let rest = "\"d\":\"YQ==\"}\n{\"t\":\"x\"}\n";
        connection.write_all(rest.as_bytes()).unwrap();
    });
    let mut stream = client(&url)
        .exec("i", &ExecRequest::new(["true"]))
        .await
        .unwrap();
    let received = stream.bytes_received();
    while received.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        let next = tokio::time::timeout(Duration::from_millis(1), stream.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
    go.send(()).unwrap();
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        Event::Stdout(b"a".to_vec())
    );
    assert!(matches!(stream.next_event().await, Ok(Event::Exit(_))));
}

const CHILD: &str = "FASTVM_API_TEST_CHILD";

#[tokio::test]
async fn proxies_of_the_environment_are_used_only_on_demand() {
    const NAME: &str = "proxies_of_the_environment_are_used_only_on_demand";
    // A name that no DNS knows: only a proxy can answer for it.
    const URL: &str = "http://api.invalid";
    if std::env::var_os(CHILD).is_some() {
        let builder = || Client::builder(URL).api_key(SECRET).retries(0);
        let asked = builder().proxies_from_environment(true).build().unwrap();
        assert!(asked.health().await.is_ok());
        let alone = builder().build().unwrap().health().await;
        assert!(matches!(alone, Err(Error::Connect { .. })), "{alone:?}");
        return;
    }
    let proxy = answering(http("200 OK", "application/json", "{}"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(CHILD, "1")
        .env("HTTP_PROXY", &proxy)
        .env("http_proxy", &proxy)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env_remove("REQUEST_METHOD")
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
}
