//! Builds, for which there is no builder here.

use serde_json::json;

use super::rig::Rig;

#[tokio::test]
async fn a_build_is_refused_in_words() {
    let rig = Rig::start();
    for request in [
        json!({ "imageRef": "python:3.13-slim" }),
        json!({ "dockerfileContent": "FROM scratch" }),
    ] {
        let (status, answer) = rig.send("POST", "/v1/builds", request.to_string()).await;
        assert_eq!(status, 422, "{answer}");
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .starts_with("the local engine has no builder"),
            "{answer}"
        );
    }
    assert_eq!(rig.send("POST", "/v1/builds", "{}").await.0, 400);
    assert_eq!(rig.get("/v1/builds/x").await.0, 404);
}

#[tokio::test]
async fn a_build_context_can_be_uploaded() {
    let rig = Rig::start();
    let (status, urls) = rig.send("POST", "/v1/build-contexts/presign", "").await;
    assert_eq!(status, 200, "{urls}");
    let (upload, download) = (&urls["uploadUrl"], &urls["downloadUrl"]);
    let put = |kind: &'static str| {
        rig.client
            .put(upload.as_str().unwrap())
            .header("content-type", kind)
            .body("context")
            .send()
    };
    assert_eq!(
        put("application/octet-stream")
            .await
            .unwrap()
            .status()
            .as_u16(),
        403
    );
    assert_eq!(
        put("application/gzip").await.unwrap().status().as_u16(),
        200
    );
    let got = rig
        .client
        .get(download.as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(got.text().await.unwrap(), "context");
}
