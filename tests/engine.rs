//! The local engine, driven over HTTP as any client would, with the real binary as the init of its VMs.
#![cfg(target_os = "linux")]

mod engine_rig;

use engine_rig::{Rig, json};
use serde_json::Value;

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
    for id in ["x", "..%2f..%2fkey", "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"] {
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
async fn a_vm_lives_from_launch_to_delete() {
    let rig = Rig::start();
    let (status, vm) = rig
        .send("POST", "/v1/vms", r#"{"machineType":"c1m2","name":"  my  dev ","metadata":{"a":"b"},"envVars":{"X":"y z"}}"#)
        .await;
    assert_eq!(status, 201, "{vm}");
    assert_eq!(vm["name"], "my dev");
    assert_eq!(vm["status"], "running");
    assert_eq!(
        (&vm["cpu"], &vm["memoryMiB"], &vm["diskGiB"]),
        (&json("1"), &json("2048"), &json("10"))
    );
    assert_eq!(
        vm["firewall"],
        json(r#"{"mode":"restricted","ingress":[]}"#)
    );
    let id = vm["id"].as_str().unwrap();
    assert_eq!(rig.get(&format!("/v1/vms/{id}")).await, (200, vm.clone()));
    assert_eq!(
        rig.get("/v1/vms?status=running&metadata.a=b")
            .await
            .1
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(rig.get("/v1/vms?metadata.a=c").await.1, json("[]"));
    assert_eq!(rig.get("/v1/vms?status=paused").await.1, json("[]"));

    let run = rig
        .exec(
            id,
            &[
                "sh",
                "-c",
                "echo $X; hostname; pwd; id -u; echo oops >&2; exit 3",
            ],
        )
        .await;
    assert_eq!(run["stdout"], "y z\nmy-dev\n/root\n0\n");
    assert_eq!(run["stderr"], "oops\n");
    assert_eq!(
        (&run["exitCode"], &run["timedOut"]),
        (&json("3"), &json("false"))
    );

    let path = format!("/v1/vms/{id}");
    let (status, vm) = rig
        .send("PATCH", &path, r#"{"name":"new","metadata":{}}"#)
        .await;
    assert_eq!(
        (status, &vm["name"], &vm["metadata"]),
        (200, &Value::from("new"), &json("{}"))
    );
    for bad in ["{}", r#"{"name":" "}"#] {
        assert_eq!(rig.send("PATCH", &path, bad).await.0, 400, "{bad}");
    }
    assert_eq!(rig.get("/v1/org/quotas").await.1["usage"]["vcpu"], 1);
    let (status, deleted) = rig.send("DELETE", &path, "").await;
    assert_eq!(
        (status, deleted),
        (200, json(&format!(r#"{{"id":"{id}","deleted":true}}"#)))
    );
    assert_eq!(rig.send("DELETE", &path, "").await.0, 404);
    assert_eq!(rig.get(&path).await.0, 404);
    assert_eq!(rig.get("/v1/org/quotas").await.1["usage"]["vcpu"], 0);
}
