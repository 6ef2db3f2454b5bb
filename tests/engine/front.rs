//! Who may call, and what is there to be called.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rig::{Rig, json};

#[tokio::test]
async fn health_needs_no_key_and_the_api_does() {
    let rig = Rig::start();
    let answer = rig.bare("GET", "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()["x-fastvm-local"]
            .to_str()
            .unwrap()
            .starts_with("1;")
    );
    assert_eq!(answer.headers()["x-request-id"].len(), 36);
    assert_eq!(
        rig.bare("GET", "/v1/vms").send().await.unwrap().status(),
        401
    );
    let wrong = rig
        .bare("GET", "/v1/vms")
        .header("x-api-key", "wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(rig.get("/v1/vms").await, (200, json("[]")));
}

#[tokio::test]
async fn foreign_hosts_and_web_pages_are_refused() {
    let rig = Rig::start();
    for (name, value) in [
        ("host", "evil.example"),
        ("origin", "http://localhost"),
        ("origin", "null"),
    ] {
        let answer = rig
            .request("GET", "/v1/vms")
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    let answer = rig
        .request("GET", "/v1/vms")
        .header("host", "localhost:1")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn unknown_routes_methods_and_ids_are_told_apart() {
    let rig = Rig::start();
    assert_eq!(rig.get("/v1/nothing").await.0, 404);
    let answer = rig.request("DELETE", "/v1/vms").send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert!(answer.headers().contains_key("allow"));
    for id in [
        "x",
        "..%2f..%2fkey",
        "%ff",
        "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7",
    ] {
        let (status, body) = rig.get(&format!("/v1/vms/{id}")).await;
        assert_eq!((status, body["error"].is_string()), (404, true), "{id}");
        assert_eq!(
            rig.send("DELETE", &format!("/v1/vms/{id}"), "").await.0,
            404,
            "{id}"
        );
    }
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_to_who_speaks_it() {
    let rig = Rig::start();
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let call = client
        .get(rig.url("/v1/vms"))
        .header("x-api-key", rig.engine().key().expose());
    let answer = call.send().await.unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (reqwest::Version::HTTP_2, 200)
    );
}

/// The status of the answer to a request whose headers a client would not send.
async fn status_of(rig: &Rig, target: &str, headers: &str) -> u16 {
    let mut socket = TcpStream::connect(rig.engine().address()).await.unwrap();
    let key = rig.engine().key().expose();
    let request =
        format!("GET {target} HTTP/1.1\r\nX-API-Key: {key}\r\n{headers}Connection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_host_that_can_be_read_in_two_ways_is_refused() {
    let rig = Rig::start();
    for (headers, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: [::1]:80\r\n", 200),
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: localhost\r\nHost: evil.example\r\n", 400),
        ("Host: localhost:80@evil.example\r\n", 400),
        ("Host: localhost@evil.example\r\n", 400),
        ("Host: [::1]evil.example\r\n", 400),
        ("Host: [::1]:80evil\r\n", 400),
        ("Host: localhost:port\r\n", 400),
        ("Host: localhost:99999\r\n", 400),
        ("Host: localhost, evil.example\r\n", 400),
        ("Host: evil.example\r\n", 403),
        ("Host: localhost.evil.example\r\n", 403),
    ] {
        assert_eq!(
            status_of(&rig, "/v1/vms", headers).await,
            status,
            "{headers:?}"
        );
    }
    // The address of the request is a name too.
    for (target, status) in [
        ("http://localhost/v1/vms", 200),
        ("http://evil.example/v1/vms", 403),
        ("http://localhost:80@evil.example/v1/vms", 400),
    ] {
        let answer = status_of(&rig, target, "Host: localhost\r\n").await;
        assert_eq!(answer, status, "{target}");
    }
}

#[tokio::test]
async fn what_a_body_lacks_is_told_in_words_of_json() {
    let rig = Rig::start();
    for (path, body, told) in [
        (
            "/v1/vms",
            "[]",
            "the body is an array: an object is expected",
        ),
        (
            "/v1/vms",
            r#"["c1m1"]"#,
            "the body is an array: an object is expected",
        ),
        ("/v1/vms", "null", "the body is null: an object is expected"),
        (
            "/v1/vms",
            r#"{"machineType":7}"#,
            "`machineType` is a number: a string is expected",
        ),
        (
            "/v1/vms",
            r#"{"machineType":"c1m1","ttl":["pause",60]}"#,
            "`ttl` is an array: an object is expected",
        ),
        (
            "/v1/vms",
            r#"{"machineType":"c1m1","volumes":[{"volumeId":"v"}]}"#,
            "`volumes[0].mountPath` is missing",
        ),
        ("/v1/snapshots", "{}", "`vmId` is missing"),
        (
            "/v1/volumes",
            r#"{"backend":"native","sizeGiB":"1"}"#,
            "`sizeGiB` is a string: a whole number is expected",
        ),
        (
            "/v1/vms",
            "{",
            "the body is not a JSON document: EOF while parsing an object at line 1 column 1",
        ),
        (
            "/v1/vms",
            "",
            "the body is empty: a JSON object is expected",
        ),
    ] {
        let (status, answer) = rig.send("POST", path, body).await;
        assert_eq!(
            (status, answer["error"].as_str().unwrap()),
            (400, told),
            "{body}"
        );
    }
    let (status, answer) = rig.get("/v1/vms?status=running&status=paused").await;
    assert_eq!(
        (status, answer["error"].as_str().unwrap()),
        (400, "status is given twice")
    );
    let path = "/v1/vms/x/console/ws?session=a&session=b";
    let (status, answer) = rig.get(path).await;
    assert_eq!(
        (status, answer["error"].is_string()),
        (403, true),
        "{answer}"
    );
}

#[tokio::test]
async fn names_hold_no_control_characters() {
    let rig = Rig::start();
    let id = rig.vm().await;
    for bad in ["a\0b", "\u{1b}[2J", "a\u{9b}b", "\u{202e}x", "\u{7f}"] {
        let name = |more: serde_json::Value| {
            let mut body = more;
            body["name"] = bad.into();
            body.to_string()
        };
        let (vm, renamed) = (json(r#"{"machineType":"c1m1"}"#), json("{}"));
        let snapshot = serde_json::json!({ "vmId": id });
        let volume = json(r#"{"backend":"native","sizeGiB":1}"#);
        let credential = json(r#"{"type":"s3","data":"x"}"#);
        let service = json(r#"{"port":8080}"#);
        for (method, path, body) in [
            ("POST", "/v1/vms".to_owned(), vm),
            ("PATCH", format!("/v1/vms/{id}"), renamed),
            ("POST", "/v1/snapshots".to_owned(), snapshot),
            ("POST", "/v1/volumes".to_owned(), volume),
            ("POST", "/v1/volume-credentials".to_owned(), credential),
            ("POST", format!("/v1/vms/{id}/services"), service),
        ] {
            let (status, answer) = rig.send(method, &path, name(body)).await;
            assert_eq!(status, 400, "{method} {path} {bad:?}: {answer}");
        }
    }
    let (_, vms) = rig.get("/v1/vms").await;
    assert_eq!(vms.as_array().unwrap().len(), 1);
}
