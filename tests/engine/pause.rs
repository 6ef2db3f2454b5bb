//! Pausing and resuming.

use serde_json::{Value, json};

use super::recovery::{init_of, kill};
use super::rig::Rig;

impl Rig {
    async fn act(&self, vm: &str, verb: &str) -> (u16, Value) {
        self.send("POST", &format!("/v1/vms/{vm}/{verb}"), "").await
    }

    /// Until the kernel has taken the whole machine apart.
    async fn until_stopped(&self, vm: &str) {
        while self.get(&format!("/v1/vms/{vm}")).await.1["status"] != "stopped" {}
    }

    /// A VM with a process that counts in `/root/n`.
    async fn counting(&self) -> String {
        let vm = self.vm().await;
        let count = "i=0; while :; do i=$((i+1)); echo $i > /root/n; sleep 0.01; done";
        let run = self
            .exec(
                &vm,
                &[
                    "sh",
                    "-c",
                    &format!("({count}) > /dev/null 2>&1 & echo $! > /root/pid; until [ -s /root/n ]; do sleep 0.01; done"),
                ],
            )
            .await;
        assert_eq!(run["exitCode"], 0, "{run}");
        vm
    }

    /// What the guest's disk says from outside.
    fn outside(&self, name: &str) -> String {
        let layers = std::fs::read_dir(self.data.path().join("layers")).unwrap();
        let mut found = layers
            .filter_map(|layer| find(&layer.unwrap().path(), name))
            .collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }
}

/// The file of that name in `root`, at most three folders down.
fn find(folder: &std::path::Path, name: &str) -> Option<String> {
    let candidates = ["root/root", "root", "", "rootfs/root"];
    candidates
        .iter()
        .find_map(|middle| std::fs::read_to_string(folder.join(middle).join(name)).ok())
}

const COUNTS_ON: &str = "a=$(cat /root/n); until [ \"$a\" != \"$(cat /root/n)\" ]; do sleep 0.01; done; kill -0 $(cat /root/pid) && echo on";

#[tokio::test]
async fn a_paused_vm_stands_still_and_goes_on_where_it_was() {
    let rig = Rig::start();
    let vm = rig.counting().await;
    let (status, paused) = rig.act(&vm, "pause").await;
    assert_eq!((status, &paused["status"]), (200, &json!("paused")));
    assert!(paused["pausedAt"].is_string(), "{paused}");
    let before = rig.outside("n");
    // Again: nothing changes.
    assert_eq!(rig.act(&vm, "pause").await, (200, paused.clone()));
    assert_eq!(
        rig.get("/v1/vms?status=paused").await,
        (200, json!([paused]))
    );
    let usage = rig.get("/v1/org/quotas").await.1["usage"].clone();
    assert_eq!(
        (&usage["vcpu"], &usage["memoryMiB"], &usage["diskGiB"]),
        (&json!(0), &json!(0), &json!(0))
    );
    for (path, body) in [
        ("exec", r#"{"command":["true"]}"#),
        ("files/presign", r#"{"path":"/x"}"#),
    ] {
        let (status, answer) = rig
            .send("POST", &format!("/v1/vms/{vm}/{path}"), body)
            .await;
        assert_eq!(status, 409, "{path}: {answer}");
        assert!(
            answer["error"].as_str().unwrap().contains("is paused"),
            "{answer}"
        );
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(rig.outside("n"), before);

    let (status, resumed) = rig.act(&vm, "resume").await;
    assert_eq!((status, &resumed["status"]), (200, &json!("running")));
    assert!(resumed.get("pausedAt").is_none(), "{resumed}");
    assert_eq!(rig.act(&vm, "resume").await, (200, resumed));
    assert_eq!(
        rig.exec(&vm, &["sh", "-c", COUNTS_ON]).await["stdout"],
        "on\n"
    );
    assert_eq!(rig.get("/v1/org/quotas").await.1["usage"]["vcpu"], 1);
    assert_eq!(rig.act("x", "pause").await.0, 404);
}

#[tokio::test]
async fn a_pause_outlives_the_engine_and_can_be_deleted() {
    let mut rig = Rig::start();
    let (kept, gone) = (rig.counting().await, rig.vm().await);
    for vm in [&kept, &gone] {
        assert_eq!(rig.act(vm, "pause").await.0, 200);
    }
    // Many looks at a machine that takes no connections.
    for _ in 0..50 {
        rig.get("/v1/vms").await;
    }
    let next = Rig::beside(&rig);
    rig.engine.take().unwrap().stop();
    assert_eq!(
        next.send("DELETE", &format!("/v1/vms/{gone}"), "").await.0,
        200
    );
    assert_eq!(next.act(&kept, "resume").await.0, 200);
    assert_eq!(
        next.exec(&kept, &["sh", "-c", COUNTS_ON]).await["stdout"],
        "on\n"
    );
}

#[tokio::test]
async fn resuming_takes_the_quota_again() {
    let rig = Rig::with(|options| options.quotas.vcpu = 1);
    let first = rig.vm().await;
    assert_eq!(rig.act(&first, "pause").await.0, 200);
    let second = rig.vm().await;
    let (status, refused) = rig.act(&first, "resume").await;
    assert_eq!(status, 403, "{refused}");
    assert_eq!(rig.act(&second, "pause").await.0, 200);
    assert_eq!(rig.act(&first, "resume").await.0, 200);
}

#[tokio::test]
async fn a_pause_has_one_snapshot() {
    let rig = Rig::start();
    let vm = rig.counting().await;
    let snapshot = || rig.send("POST", "/v1/snapshots", json!({ "vmId": vm }).to_string());
    rig.act(&vm, "pause").await;
    let (status, first) = snapshot().await;
    assert_eq!((status, &first["status"]), (201, &json!("ready")));
    assert_eq!(snapshot().await, (201, first.clone()));
    rig.act(&vm, "resume").await;
    rig.act(&vm, "pause").await;
    let (status, second) = snapshot().await;
    assert_eq!(status, 201);
    assert_ne!(second["id"], first["id"]);
    // One that was deleted is made anew.
    let path = format!("/v1/snapshots/{}", second["id"].as_str().unwrap());
    assert_eq!(rig.send("DELETE", &path, "").await.0, 200);
    assert_ne!(snapshot().await.1["id"], second["id"]);

    let request = json!({ "snapshotId": first["id"] });
    let (status, copy) = rig.send("POST", "/v1/vms", request.to_string()).await;
    assert_eq!((status, &copy["status"]), (201, &json!("running")));
    let copy = copy["id"].as_str().unwrap();
    let run = rig
        .exec(copy, &["sh", "-c", "test -s /root/pid && echo kept"])
        .await;
    assert_eq!(run["stdout"], "kept\n");
    rig.act(&vm, "resume").await;
    assert_eq!(
        rig.exec(&vm, &["sh", "-c", COUNTS_ON]).await["stdout"],
        "on\n"
    );
}

#[tokio::test]
async fn a_stopped_vm_boots_on_its_disk() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.exec(&vm, &["sh", "-c", "echo kept > /root/a"]).await;
    kill(init_of(rig.data.path(), &vm));
    rig.until_stopped(&vm).await;
    let (status, running) = rig.act(&vm, "resume").await;
    assert_eq!((status, &running["status"]), (200, &json!("running")));
    assert_eq!(rig.exec(&vm, &["cat", "/root/a"]).await["stdout"], "kept\n");
}
