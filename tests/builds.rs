//! `fastvm build`: what is sent of a folder, and what comes of waiting.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::Home;

const BUILD: &str = "9a6e5b1c-0f0d-4c55-8a3c-6f0b1d2e3f40";

fn build(status: &str, more: &Value) -> ResponseTemplate {
    let mut build =
        json!({"id": BUILD, "createdAt": "2026-01-02T03:04:05Z", "imageRef": "", "status": status});
    if let (Some(build), Some(more)) = (build.as_object_mut(), more.as_object()) {
        build.extend(more.clone());
    }
    ResponseTemplate::new(202).set_body_json(build)
}

/// A server that takes a context and says how the build is.
async fn server(answers: [ResponseTemplate; 2]) -> MockServer {
    let server = MockServer::start().await;
    let presigned = json!({
        "uploadUrl": format!("{}/storage?sig=put", server.uri()),
        "downloadUrl": format!("{}/storage?sig=get", server.uri()),
        "expiresInSec": 900, "maxUploadBytes": 100_000,
    });
    Mock::given(method("POST"))
        .and(path("/v1/build-contexts/presign"))
        .respond_with(ResponseTemplate::new(200).set_body_json(presigned))
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(path("/storage"))
        .and(header("content-type", "application/gzip"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let [created, later] = answers;
    Mock::given(method("POST"))
        .and(path("/v1/builds"))
        .respond_with(created)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path(format!("/v1/builds/{BUILD}")))
        .respond_with(later)
        .mount(&server)
        .await;
    server
}

fn home(server: &MockServer) -> Home {
    let home = Home::with_server(&server.uri());
    std::fs::create_dir_all(home.join("app/node_modules")).unwrap();
    for (name, text) in [
        ("Dockerfile", "FROM alpine\nCOPY . /app\n"),
        (".dockerignore", "node_modules\n"),
        ("main.py", "print(1)\n"),
        ("node_modules/big.js", "no"),
    ] {
        std::fs::write(home.join("app").join(name), text).unwrap();
    }
    home
}

async fn ran(home: Home, arguments: &'static [&'static str]) -> crate::common::Ran {
    tokio::task::spawn_blocking(move || home.run(arguments))
        .await
        .unwrap()
}

fn files(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().display().to_string(), text)
    });
    entries.collect()
}

#[tokio::test]
async fn a_context_is_sent_without_what_is_ignored_and_the_end_is_waited_for() {
    let server = server([
        build("pending", &json!({})),
        build("completed", &json!({"snapshotId": "s"})),
    ])
    .await;
    let ran = ran(
        home(&server),
        &[
            "-vvv",
            "build",
            "create",
            "--context",
            "app",
            "--name",
            "mine",
            "--wait",
            "-q",
            ".snapshotId",
        ],
    )
    .await;
    assert_eq!((ran.stdout.as_str(), ran.code), ("s\n", 0), "{ran}");
    assert!(!ran.stderr.contains("sig="), "{ran}");
    let requests = server.received_requests().await.unwrap();
    let put = &requests[1];
    assert!(put.headers.get("x-api-key").is_none());
    let files = files(&put.body);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [".dockerignore", "Dockerfile", "main.py"]
    );
    assert_eq!(files["main.py"], "print(1)\n");
    let body: Value = serde_json::from_slice(&requests[2].body).unwrap();
    assert_eq!(
        body,
        json!({
            "dockerfileContent": "FROM alpine\nCOPY . /app\n",
            "contextDownloadUrl": format!("{}/storage?sig=get", server.uri()),
            "name": "mine",
        })
    );
}

#[tokio::test]
async fn a_build_that_fails_says_why() {
    let server = server([
        build("pending", &json!({})),
        build("failed", &json!({"error": "step 2: exit code 1"})),
    ])
    .await;
    let ran = ran(
        home(&server),
        &["build", "create", "--image", "alpine", "--wait"],
    )
    .await;
    assert_eq!(
        (ran.stderr.as_str(), ran.code),
        (
            format!("error: build {BUILD} failed: step 2: exit code 1\n").as_str(),
            1
        ),
        "{ran}"
    );
}

#[tokio::test]
async fn a_context_that_is_too_large_is_not_sent_to_its_end_and_nothing_is_built() {
    let server = server([build("pending", &json!({})), build("pending", &json!({}))]).await;
    let home = home(&server);
    let mut noise = vec![0_u8; 400_000];
    let mut state = 1_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    std::fs::write(home.join("app/noise"), noise).unwrap();
    let ran = ran(home, &["build", "create", "--context", "app"]).await;
    assert_eq!(
        (ran.stderr.as_str(), ran.code),
        (
            "error: cannot send the context app: the context is larger than the 97.7 KiB that the API takes\n",
            1
        ),
        "{ran}"
    );
    let requests = server.received_requests().await.unwrap();
    assert!(
        requests
            .iter()
            .all(|request| request.url.path() != "/v1/builds")
    );
}

#[tokio::test]
async fn a_dockerfile_that_copies_without_a_context_is_warned_of() {
    let server = server([build("pending", &json!({})), build("pending", &json!({}))]).await;
    let ran = ran(
        home(&server),
        &["build", "create", "-f", "app/Dockerfile", "-o", "id"],
    )
    .await;
    assert_eq!(ran.stdout, format!("{BUILD}\n"));
    assert_eq!(
        ran.stderr,
        "warning: the Dockerfile copies files, and no --context is given that has them\n"
    );
}

#[tokio::test]
async fn a_missing_context_or_dockerfile_is_3() {
    let server = MockServer::start().await;
    for arguments in [
        &["build", "create", "--context", "nothing"][..],
        &[
            "build",
            "create",
            "--image",
            "alpine",
            "--context",
            "nothing",
        ],
        &["build", "create", "--dockerfile", "nothing"],
    ] {
        let ran = ran(home(&server), arguments).await;
        assert!([2, 3].contains(&ran.code), "{arguments:?}\n{ran}");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}
