//! `fastvm files`: the raw calls that copies are made of.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::common::scripted::json;
use crate::common::{Front, Home, Ran, Say, Served};

/// Puts bytes where a signed URL says.
fn upload(url: &str, bytes: &[u8]) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = bytes.len();
    write!(
        stream,
        "PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
}

/// Runs a command with a text on its standard input.
fn fed(home: &Home, arguments: &[&str], input: &str) -> Ran {
    let mut child = home.spawn(arguments);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn an_object_goes_up_by_one_url_and_into_the_vm_by_the_other() {
    let served = Served::start();
    let home = served.client();
    let urls = home
        .run(&["files", "presign", "dev", "/srv/file", "--json"])
        .json();
    assert!(urls["expiresInSec"].as_i64() > Some(0), "{urls}");
    assert!(urls["maxUploadBytes"].as_i64() > Some(0), "{urls}");
    upload(urls["uploadUrl"].as_str().unwrap(), b"some bytes");
    let url = urls["downloadUrl"].as_str().unwrap();

    home.ok(&["files", "fetch", "dev", url, "/srv/file"]);
    assert_eq!(served.sh("cat /srv/file"), "some bytes");
    let piped = fed(
        &home,
        &["files", "fetch", "dev", "-", "/srv/again", "--json"],
        &format!("{url}\n"),
    );
    assert_eq!(
        (piped.code, &piped.json()["exitCode"]),
        (0, &0.into()),
        "{piped}"
    );
    assert_eq!(served.sh("cat /srv/again"), "some bytes");

    let nowhere = home.run(&["files", "fetch", "dev", url, "/no/folder/file", "--json"]);
    assert_eq!(nowhere.code, 1, "{nowhere}");
    assert_ne!(nowhere.json()["exitCode"], 0, "{nowhere}");
    assert!(!nowhere.stderr.contains(url), "{nowhere}");
}

#[test]
fn people_see_the_urls_with_their_limits() {
    let served = Served::start();
    let shown = served.client().ok(&["files", "presign", "dev", "/x"]);
    let labels: Vec<_> = shown
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(
        labels,
        ["upload to", "download from", "valid for", "largest upload"]
    );
}

#[test]
fn the_time_limit_is_the_servers() {
    let served = Served::start();
    let timed_out = r#"{"exitCode":124,"stdout":"","stderr":"","timedOut":true,"stdoutTruncated":false,"stderrTruncated":false,"durationMs":1}"#;
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        Say::Answer(json("200 OK", timed_out))
    });
    let home = Home::with_server(front.url());
    let id = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";
    let ran = home.run(&[
        "files",
        "fetch",
        id,
        "https://h/o?sig=s3cret",
        "/x",
        "--timeout",
        "1h",
    ]);
    assert_eq!(ran.code, 124, "{ran}");
    assert!(
        ran.stderr.contains("within 1h") && !ran.stderr.contains("s3cret"),
        "{ran}"
    );
    assert_eq!(front.count_posted(r#""timeoutSec":3600"#), 1);
}

#[test]
fn what_is_wrong_is_refused() {
    let served = Served::start();
    let home = served.client();
    for arguments in [
        &["presign", "dev", "relative"][..],
        &["fetch", "dev", "https://h/o", "relative"],
        &["fetch", "dev", "ftp://h/o", "/x"],
        &["fetch", "dev", "https://h/o", "/x", "--timeout", "0"],
        &["fetch", "dev", "https://h/o", "/x", "--timeout", "500ms"],
    ] {
        let ran = home.run(&[&["files"], arguments].concat());
        assert_eq!(ran.code, 2, "{arguments:?}\n{ran}");
    }
    let foreign = home.run(&["files", "fetch", "dev", "https://h/o?sig=s3cret", "/x"]);
    assert_eq!(foreign.code, 5, "{foreign}");
    let nobody = home.run(&["files", "presign", "nope", "/x"]);
    assert_eq!(nobody.code, 3, "{nobody}");
    // The engine that would serve the URLs ends with the command.
    let local = Home::new().run(&["--local", "files", "presign", "dev", "/x"]);
    assert_eq!(local.code, 2, "{local}");
    assert!(local.stderr.contains("local serve"), "{local}");
}
