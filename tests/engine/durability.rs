//! What `ready` promises: the layers are whole.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::recovery::{init_of, kill};
use super::rig::Rig;

impl Rig {
    /// A snapshot of a VM with a file in it.
    async fn saved(&self, vm: &str) -> Value {
        self.exec(vm, &["sh", "-c", "echo kept > /root/a"]).await;
        let body = json!({ "vmId": vm, "name": "golden" }).to_string();
        let (status, snapshot) = self.send("POST", "/v1/snapshots", body).await;
        assert_eq!(
            (status, &snapshot["status"]),
            (201, &json!("ready")),
            "{snapshot}"
        );
        snapshot
    }

    async fn restored(&self, snapshot: &Value) -> (u16, Value) {
        let body = json!({ "snapshotId": snapshot["id"] }).to_string();
        self.send("POST", "/v1/vms", body).await
    }

    /// The topmost layer that something stands on, and where it is.
    fn layer(&self, owner: &Value) -> (String, PathBuf) {
        let database = rusqlite::Connection::open(self.data.path().join("state.db")).unwrap();
        let question = "SELECT layer FROM stacks WHERE owner = ?1 AND depth = 0";
        let owner = owner.as_str().unwrap();
        let layer: String = database
            .query_row(question, [owner], |row| row.get(0))
            .unwrap();
        (layer.clone(), self.data.path().join("layers").join(layer))
    }

    fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.data.path().join(folder))
            .unwrap()
            .count()
    }
}

#[tokio::test]
async fn a_snapshot_with_a_damaged_layer_is_no_ready_one_and_its_restore_names_the_layer() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    let snapshot = rig.saved(&vm).await;
    let id = snapshot["id"].as_str().unwrap();
    let (layer, path) = rig.layer(&snapshot["id"]);
    let aside = rig.data.path().join("aside");
    let damages: [(&str, &str); 4] = [
        ("", "is missing"),
        ("root", "is damaged: its folder root is missing"),
        ("*", "is damaged: its folder root is missing"),
        ("/", "is not a folder"),
    ];
    for (damage, reason) in damages {
        std::fs::create_dir(&aside).unwrap();
        match damage {
            "root" => std::fs::rename(path.join("root"), aside.join("root")).unwrap(),
            _ => std::fs::rename(&path, aside.join("layer")).unwrap(),
        }
        match damage {
            "*" => std::fs::create_dir(&path).unwrap(),
            "/" => std::fs::write(&path, "").unwrap(),
            _ => {}
        }
        let (code, answer) = rig.restored(&snapshot).await;
        assert_eq!(code, 409, "{answer}");
        assert_eq!(
            answer["error"],
            format!("cannot restore snapshot {id}: layer {layer} {reason}")
        );
        assert_eq!(rig.count("vms"), 1, "nothing is left of the restore");
        assert_eq!(rig.get("/v1/snapshots").await.1[0]["status"], "error");
        let path_of_it = format!("/v1/snapshots/{id}");
        assert_eq!(rig.get(&path_of_it).await.1["status"], "error");
        match damage {
            "root" => std::fs::rename(aside.join("root"), path.join("root")).unwrap(),
            _ => {
                std::fs::remove_dir(&path)
                    .or_else(|_| std::fs::remove_file(&path))
                    .ok();
                std::fs::rename(aside.join("layer"), &path).unwrap();
            }
        }
        std::fs::remove_dir(&aside).unwrap();
    }
    // Put back, it is as good as before.
    assert_eq!(rig.get("/v1/snapshots").await.1[0]["status"], "ready");
    let (code, copy) = rig.restored(&snapshot).await;
    assert_eq!(code, 201, "{copy}");
    let copy = copy["id"].as_str().unwrap();
    assert_eq!(
        rig.exec(copy, &["cat", "/root/a"]).await["stdout"],
        "kept\n"
    );
}

#[tokio::test]
async fn a_layer_that_an_older_version_made_needs_its_root() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    let snapshot = rig.saved(&vm).await;
    let (layer, path) = rig.layer(&snapshot["id"]);
    std::fs::remove_file(path.join("trees")).unwrap();
    assert_eq!(rig.restored(&snapshot).await.0, 201);
    std::fs::rename(path.join("root"), path.join("elsewhere")).unwrap();
    let (code, answer) = rig.restored(&snapshot).await;
    assert_eq!(code, 409);
    assert!(answer["error"].as_str().unwrap().contains(&layer));
}

#[tokio::test]
async fn a_vm_with_a_damaged_layer_does_not_boot_without_it_and_a_running_one_is_not_ended() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.saved(&vm).await;
    let (layer, path) = rig.layer(&json!(vm));
    let aside = rig.data.path().join("aside");
    std::fs::rename(&path, &aside).unwrap();
    let body = json!({ "vmId": vm }).to_string();
    let (code, answer) = rig.send("POST", "/v1/snapshots", body).await;
    let missing = format!("vm {vm}: layer {layer} is missing");
    assert_eq!(code, 409, "{answer}");
    assert_eq!(
        answer["error"],
        format!("cannot make a snapshot of {missing}")
    );
    assert_eq!(rig.exec(&vm, &["true"]).await["exitCode"], 0);

    kill(init_of(rig.data.path(), &vm));
    while rig.get(&format!("/v1/vms/{vm}")).await.1["status"] != "stopped" {}
    let resume = format!("/v1/vms/{vm}/resume");
    let (code, answer) = rig.send("POST", &resume, "").await;
    assert_eq!(code, 409, "{answer}");
    assert_eq!(answer["error"], format!("cannot boot {missing}"));
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(rig.send("POST", &resume, "").await.0, 200);
    assert_eq!(rig.exec(&vm, &["cat", "/root/a"]).await["stdout"], "kept\n");
}
