//! What `ready` promises: the layers are whole, and on the disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fastvm_engine::start;
use serde_json::{Value, json};

use super::recovery::{init_of, kill};
use super::rig::{Rig, options};
use crate::common::{Home, lacks, skip};

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

    fn set(&self, row: &str) {
        let database = rusqlite::Connection::open(self.data.path().join("state.db")).unwrap();
        database.execute(row, []).unwrap();
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

#[tokio::test]
async fn a_snapshot_that_may_not_be_on_the_disk_is_not_restored_and_is_lost_in_a_crash() {
    let mut rig = Rig::start();
    let vm = rig.vm().await;
    let snapshot = rig.saved(&vm).await;
    let path = format!("/v1/snapshots/{}", snapshot["id"].as_str().unwrap());
    // As if the computer had gone down between the two.
    rig.set("UPDATE snapshots SET status = 'creating', mount = 'of an earlier boot'");
    assert_eq!(rig.get("/v1/snapshots").await.1[0]["status"], "creating");
    let (code, answer) = rig.restored(&snapshot).await;
    assert_eq!(code, 409, "{answer}");
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .ends_with("is creating, not ready"),
        "{answer}"
    );
    rig.engine.take().unwrap().stop();
    rig.engine = Some(start(options(rig.data.path())).unwrap());
    while rig.get("/v1/snapshots").await.1[0]["status"] != "error" {}
    assert_eq!(rig.get(&path).await.1["status"], "error");
    let (code, answer) = rig.restored(&snapshot).await;
    assert_eq!(code, 409, "{answer}");
    assert!(
        answer["error"].as_str().unwrap().ends_with(
            "is error, not ready: the computer or its disk was started anew before all of it was on the disk"
        ),
        "{answer}"
    );
    assert_eq!(
        rig.get("/v1/org/quotas").await.1["usage"]["snapshotCount"],
        1
    );
    assert_eq!(rig.send("DELETE", &path, "").await.0, 200);
    assert_eq!(rig.exec(&vm, &["cat", "/root/a"]).await["stdout"], "kept\n");
}

#[test]
fn a_snapshot_whose_maker_was_killed_before_it_was_ready_becomes_ready() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--no-console", "--quiet"]);
    home.ok(&["--local", "exec", "dev", "echo kept > /root/a"]);
    let mut database = rusqlite::Connection::open(home.join("local/state.db")).unwrap();
    database
        .busy_timeout(std::time::Duration::from_secs(60))
        .unwrap();
    let count = |connection: &rusqlite::Connection| -> i64 {
        let question = "SELECT COUNT(*) FROM snapshots WHERE status = 'creating'";
        connection
            .query_row(question, [], |row| row.get(0))
            .unwrap()
    };
    let was_caught = (0..100).any(|_| {
        let mut command = home
            .command(&["--local", "snapshot", "create", "dev", "-n", "golden"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while count(&database) == 0 && command.try_wait().unwrap().is_none() {}
        // It cannot write while somebody else does.
        let writing = rusqlite::TransactionBehavior::Immediate;
        let writing = database.transaction_with_behavior(writing).unwrap();
        let is_creating = count(&writing) > 0;
        if is_creating {
            command.kill().unwrap();
        }
        drop(writing);
        command.wait().unwrap();
        if !is_creating {
            home.ok(&["--local", "snapshot", "delete", "golden", "--yes"]);
        }
        is_creating
    });
    assert!(was_caught);
    // One short command is enough.
    home.ok(&["--local", "ls"]);
    assert_eq!(count(&database), 0);
    home.ok(&["--local", "snapshot", "restore", "golden", "--name", "copy"]);
    for vm in ["dev", "copy"] {
        assert_eq!(home.ok(&["--local", "exec", vm, "cat /root/a"]), "kept");
    }
}

/// A file system in a file, with a data folder on it.
struct Disk {
    folder: tempfile::TempDir,
    home: Home,
}

impl Disk {
    fn mount(image: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).args([image, folder.path()]);
        assert!(mount.status().unwrap().success(), "{mount:?}");
        let data = folder.path().join("local");
        let home = Home::new().set("FASTVM_LOCAL_DIR", data.to_str().unwrap());
        Self { folder, home }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.home.run(&["local", "reset", "--yes"]);
        // Machines that have just ended may keep it for a moment.
        let mut unmount = Command::new("umount");
        let _ = unmount.arg("--lazy").arg(self.folder.path()).status();
    }
}

/// Why this user cannot lose a disk, which is then said.
fn cannot_mount() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can mount a disk and lose it");
    }
    let has_loops = Path::new("/dev/loop-control").exists();
    (!has_loops).then_some("this machine has no loop devices")
}

#[test]
fn a_snapshot_that_is_ready_outlives_a_crash_of_the_computer() {
    if let Some(reason) = cannot_mount() {
        return skip(reason);
    }
    if lacks("mkfs.ext4") {
        return;
    }
    for process in ["", "sleep 300 >/dev/null 2>&1 &"] {
        let images = tempfile::tempdir().unwrap();
        let image = images.path().join("disk");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(1 << 30).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).status();
        assert!(made.unwrap().success());
        let disk = Disk::mount(&image);
        let home = &disk.home;
        home.ok(&["--local", "launch", "-n", "dev", "--no-console", "--quiet"]);
        let sum = "cat /root/data /root/part-* | sha256sum";
        let script = format!(
            "{process}
            head -c 5000000 /dev/urandom > /root/data
            cd /root; seq 500 | split -l 1 - part-; {sum}"
        );
        let before = home.ok(&["--local", "exec", "dev", &script]);
        home.ok(&["--local", "snapshot", "create", "dev", "-n", "golden"]);
        // What was in memory alone is not in the file.
        let crashed = images.path().join("crashed");
        std::fs::copy(&image, &crashed).unwrap();

        let disk = Disk::mount(&crashed);
        let home = &disk.home;
        let list = ["--local", "snapshot", "ls", "-q", ".[].status"];
        assert_eq!(home.ok(&list), "ready");
        home.ok(&["--local", "snapshot", "restore", "golden", "--name", "copy"]);
        assert_eq!(home.ok(&["--local", "exec", "copy", sum]), before);
    }
}
