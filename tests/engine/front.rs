//! Who may call, and what is there to be called.

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
