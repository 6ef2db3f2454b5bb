//! Snapshots and what is made from them.

use serde_json::{Value, json};

use super::rig::Rig;

impl Rig {
    async fn snapshot(&self, vm: &str) -> Value {
        let (status, snapshot) = self
            .send("POST", "/v1/snapshots", json!({ "vmId": vm }).to_string())
            .await;
        assert_eq!(status, 201, "{snapshot}");
        snapshot
    }

    async fn restore(&self, snapshot: &Value) -> String {
        let (status, vm) = self
            .send(
                "POST",
                "/v1/vms",
                json!({ "snapshotId": snapshot["id"] }).to_string(),
            )
            .await;
        assert_eq!(status, 201, "{vm}");
        vm["id"].as_str().unwrap().to_owned()
    }

    async fn sh(&self, vm: &str, script: &str) -> String {
        let run = self.exec(vm, &["sh", "-c", script]).await;
        assert_eq!(run["exitCode"], 0, "{script}: {run}");
        run["stdout"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_idle_vm_keeps_its_disk_and_goes_on_apart_from_its_copies() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.sh(
        &vm,
        "echo one > /root/a; echo gone > /root/b; mkdir /root/d; echo x > /root/d/x",
    )
    .await;
    let first = rig.snapshot(&vm).await;
    assert_eq!(
        (&first["status"], &first["vmId"]),
        (&json!("ready"), &json!(vm))
    );
    assert_eq!(first["name"], format!("snapshot-{}", &vm[..8]));
    // Deleting what lies in the layer below, and making a folder anew, must be seen in copies.
    rig.sh(
        &vm,
        "echo two > /root/a; rm /root/b; rm -r /root/d; mkdir /root/d",
    )
    .await;
    let second = rig.snapshot(&vm).await;
    rig.sh(&vm, "echo three > /root/a").await;

    let look = "cat /root/a; ls /root /root/d";
    let (one, two) = (rig.restore(&first).await, rig.restore(&second).await);
    assert_eq!(
        rig.sh(&one, look).await,
        "one\n/root:\na\nb\nd\n\n/root/d:\nx\n"
    );
    assert_eq!(rig.sh(&two, look).await, "two\n/root:\na\nd\n\n/root/d:\n");
    assert_eq!(rig.sh(&vm, look).await, "three\n/root:\na\nd\n\n/root/d:\n");
    rig.sh(&one, "echo mine > /root/a").await;
    assert_eq!(
        rig.sh(&rig.restore(&first).await, "cat /root/a").await,
        "one\n"
    );
}

#[tokio::test]
async fn a_busy_vm_is_copied_while_it_stands_still() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    // Appended, as a busy disk makes a file wait that is written anew.
    let count = "while :; do echo >> /root/n; done > /dev/null 2>&1 &";
    rig.sh(
        &vm,
        &format!("echo kept > /root/a; rm /etc/hostname; {count}"),
    )
    .await;
    let snapshot = rig.snapshot(&vm).await;
    let copy = rig.restore(&snapshot).await;
    assert_eq!(
        rig.sh(
            &copy,
            "cat /root/a; ls /etc/hostname 2>/dev/null || echo none"
        )
        .await,
        "kept\nnone\n"
    );
    // The original still counts, the copy does not.
    let counts = "a=$(wc -c </root/n); for i in $(seq 1000); do [ \"$a\" != \"$(wc -c </root/n)\" ] && echo on && exit; sleep 0.01; done; echo off";
    assert_eq!(rig.sh(&vm, counts).await, "on\n");
    assert_eq!(
        rig.sh(
            &copy,
            "a=$(wc -c </root/n); sleep 0.1; [ \"$a\" = \"$(wc -c </root/n)\" ] && echo off"
        )
        .await,
        "off\n"
    );
}

#[tokio::test]
async fn a_copy_inherits_what_the_launch_does_not_override() {
    let rig = Rig::start();
    let request = json!({
        "machineType": "c2m3", "diskGiB": 7, "metadata": { "a": "b" }, "envVars": { "X": "1" },
        "firewall": { "mode": "open", "ingress": [] },
    });
    let (_, vm) = rig.send("POST", "/v1/vms", request.to_string()).await;
    let request = json!({ "vmId": vm["id"], "name": " my  base " });
    let (_, snapshot) = rig.send("POST", "/v1/snapshots", request.to_string()).await;
    let request = json!({ "snapshotId": snapshot["id"], "envVars": { "Y": "2" } });
    let (_, copy) = rig.send("POST", "/v1/vms", request.to_string()).await;
    for same in [
        "machineName",
        "cpu",
        "memoryMiB",
        "diskGiB",
        "metadata",
        "firewall",
    ] {
        assert_eq!(copy[same], vm[same], "{same}");
    }
    assert_eq!(
        (&copy["sourceName"], &copy["envVars"]),
        (&json!("my base"), &json!({ "Y": "2" }))
    );
    for bad in [
        json!({}),
        json!({ "snapshotId": snapshot["id"], "machineType": "c1m1" }),
    ] {
        assert_eq!(
            rig.send("POST", "/v1/vms", bad.to_string()).await.0,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        rig.send(
            "POST",
            "/v1/vms",
            json!({ "snapshotId": vm["id"] }).to_string()
        )
        .await
        .0,
        404
    );
}

#[tokio::test]
async fn a_snapshot_is_renamed_and_deleted_and_its_layers_go_with_the_last_user() {
    let rig = Rig::with(|options| options.quotas.snapshot_count = 1);
    let layers = || {
        std::fs::read_dir(rig.data.path().join("layers"))
            .unwrap()
            .count()
    };
    let vm = rig.vm().await;
    let snapshot = rig.snapshot(&vm).await;
    let (status, refused) = rig
        .send("POST", "/v1/snapshots", json!({ "vmId": vm }).to_string())
        .await;
    assert_eq!(status, 403);
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("snapshotCount is limited to 1, 1 in use, 0 left"),
        "{refused}"
    );
    assert_eq!(rig.exec(&vm, &["true"]).await["exitCode"], 0);

    let path = format!("/v1/snapshots/{}", snapshot["id"].as_str().unwrap());
    assert_eq!(
        rig.send("PATCH", &path, r#"{"name":"golden"}"#).await.1["name"],
        "golden"
    );
    assert_eq!(rig.send("PATCH", &path, r#"{"name":""}"#).await.0, 400);
    assert_eq!(
        rig.get("/v1/snapshots").await.1.as_array().unwrap().len(),
        1
    );
    let copy = rig.restore(&snapshot).await;
    assert_eq!(layers(), 3);
    assert_eq!(rig.send("DELETE", &path, "").await.0, 200);
    assert_eq!(rig.send("DELETE", &path, "").await.0, 404);
    assert_eq!(layers(), 3, "the VMs still stand on it");
    for vm in [&vm, &copy] {
        assert_eq!(rig.exec(vm, &["ls", "/etc/passwd"]).await["exitCode"], 0);
        assert_eq!(
            rig.send("DELETE", &format!("/v1/vms/{vm}"), "").await.0,
            200
        );
    }
    assert_eq!(layers(), 0);
}
