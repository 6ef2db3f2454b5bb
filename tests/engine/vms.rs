//! VMs from launch to delete.

use serde_json::Value;

use super::rig::{Rig, json};

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
