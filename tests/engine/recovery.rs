//! Several engines on one data folder, and engines that die.

use std::process::{Command, Stdio};

use fastvm_engine::{Error, reset, start, status};
use serde_json::{Value, json};

use super::rig::{Rig, json as parse, options};

/// The process of a VM's init, as seen from outside.
pub(super) fn init_of(data: &std::path::Path, id: &str) -> i32 {
    let database = rusqlite::Connection::open(data.join("state.db")).unwrap();
    let nonce: String = database
        .query_row("SELECT nonce FROM vms WHERE id = ?1", [id], |row| {
            row.get(0)
        })
        .unwrap();
    let (id, nonce) = (id.parse().unwrap(), nonce.parse().unwrap());
    let machine =
        fastvm_sandbox::Machine::connect(&data.join("vms").join(format!("{id}")), id, nonce);
    machine.unwrap().pid().unwrap()
}

/// Whether a process runs. One that has ended may wait for its parent to notice.
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(super) fn kill(pid: i32) {
    let status = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn vms_live_on_without_their_engine_and_are_adopted_by_the_next() {
    let mut rig = Rig::start();
    let id = rig.vm().await;
    rig.exec(
        &id,
        &[
            "sh",
            "-c",
            "echo here > /root/a; sleep 300 >/dev/null 2>&1 & echo $! > /root/pid",
        ],
    )
    .await;
    rig.engine.take().unwrap().stop();
    rig.engine = Some(start(options(rig.data.path())).unwrap());
    let run = rig
        .exec(&id, &["sh", "-c", "cat /root/a; kill -0 $(cat /root/pid)"])
        .await;
    assert_eq!(
        (&run["stdout"], &run["exitCode"]),
        (&json!("here\n"), &json!(0))
    );
}

#[tokio::test]
async fn engines_at_once_see_the_same_and_do_not_get_in_each_others_way() {
    let rig = Rig::start();
    let other = Rig::beside(&rig);
    let id = rig.vm().await;
    assert_eq!(other.engine().key(), rig.engine().key());
    assert_eq!(other.exec(&id, &["echo", "hi"]).await["stdout"], "hi\n");
    let snapshot = rig
        .send("POST", "/v1/snapshots", json!({ "vmId": id }).to_string())
        .await;
    assert_eq!(snapshot.0, 201);
    // The machine is another one since; both find it, and their own doors in it.
    for rig in [&rig, &other] {
        let curl = [
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &rig.url("/healthz"),
        ];
        assert_eq!(rig.exec(&id, &curl).await["stdout"], "200");
    }
    let launches = (0..8).map(|number| {
        let rig = if number % 2 == 0 { &rig } else { &other };
        async move {
            let id = rig.vm().await;
            assert_eq!(rig.exec(&id, &["true"]).await["exitCode"], 0);
            assert_eq!(
                rig.send("DELETE", &format!("/v1/vms/{id}"), "").await.0,
                200
            );
        }
    });
    futures_util::future::join_all(launches).await;
    assert_eq!(other.get("/v1/vms").await.1.as_array().unwrap().len(), 1);
    assert_eq!(
        other.send("DELETE", &format!("/v1/vms/{id}"), "").await.0,
        200
    );
    assert_eq!(rig.get("/v1/vms").await.1, parse("[]"));
    assert!(matches!(
        reset(options(rig.data.path())),
        Err(Error::Busy { .. })
    ));
}

#[tokio::test]
async fn a_vm_whose_init_was_killed_is_stopped_and_its_disk_can_be_had() {
    let rig = Rig::start();
    let id = rig.vm().await;
    rig.exec(&id, &["sh", "-c", "echo here > /root/a"]).await;
    kill(init_of(rig.data.path(), &id));
    let (code, answer) = loop {
        // Until the kernel has taken the whole machine apart.
        let body = json!({ "command": ["true"] }).to_string();
        let answer = rig.send("POST", &format!("/v1/vms/{id}/exec"), body).await;
        if answer.0 != 502 {
            break answer;
        }
    };
    assert_eq!(code, 409, "{answer}");
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("is stopped, not running: its machine ended"),
        "{answer}"
    );
    assert_eq!(
        rig.get("/v1/vms?status=stopped")
            .await
            .1
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let (code, snapshot) = rig
        .send("POST", "/v1/snapshots", json!({ "vmId": id }).to_string())
        .await;
    assert_eq!(code, 201, "{snapshot}");
    let request = json!({ "snapshotId": snapshot["id"] }).to_string();
    let (_, copy) = rig.send("POST", "/v1/vms", request).await;
    assert_eq!(
        rig.exec(copy["id"].as_str().unwrap(), &["cat", "/root/a"])
            .await["stdout"],
        "here\n"
    );
    assert_eq!(
        rig.send("DELETE", &format!("/v1/vms/{id}"), "").await.0,
        200
    );
}

#[tokio::test]
async fn what_a_crash_left_half_made_is_swept() {
    let mut rig = Rig::start();
    let id = rig.vm().await;
    let kept = rig.vm().await;
    rig.engine.take().unwrap().stop();
    let data = rig.data.path().to_owned();
    let database = rusqlite::Connection::open(data.join("state.db")).unwrap();
    database
        .execute(
            "UPDATE vms SET status = 'provisioning' WHERE id = ?1",
            [&id],
        )
        .unwrap();
    let init = init_of(&data, &id);
    for stray in ["vms/stray", "layers/stray", "blobs/stray", "trash/stray"] {
        std::fs::create_dir(data.join(stray)).unwrap();
    }
    rig.engine = Some(start(options(&data)).unwrap());
    let left = |folder: &str| std::fs::read_dir(data.join(folder)).unwrap().count();
    while rig.get("/v1/vms").await.1.as_array().unwrap().len() > 1
        || left("vms") > 1
        || left("layers") > 1
        || left("blobs") > 0
        || left("trash") > 0
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.exec(&kept, &["true"]).await["exitCode"], 0);
    assert!(!runs(init));
}

#[tokio::test]
async fn a_vm_that_a_dying_engine_left_halted_goes_on() {
    let mut rig = Rig::start();
    let id = rig.vm().await;
    rig.exec(
        &id,
        &[
            "sh",
            "-c",
            "sleep 300 >/dev/null 2>&1 & echo $! > /root/pid",
        ],
    )
    .await;
    rig.engine.take().unwrap().stop();
    let database = rusqlite::Connection::open(rig.data.path().join("state.db")).unwrap();
    let nonce: String = database
        .query_row("SELECT nonce FROM vms", [], |row| row.get(0))
        .unwrap();
    let run = rig.data.path().join("vms").join(&id);
    let machine =
        fastvm_sandbox::Machine::connect(&run, id.parse().unwrap(), nonce.parse().unwrap())
            .unwrap();
    machine.stop_all().unwrap();
    database.execute("UPDATE vms SET halted = 1", []).unwrap();
    rig.engine = Some(start(options(rig.data.path())).unwrap());
    let state = rig
        .exec(
            &id,
            &["sh", "-c", "cut -d' ' -f3 /proc/$(cat /root/pid)/stat"],
        )
        .await;
    assert_eq!(state["stdout"], "S\n", "{state}");
}

#[tokio::test]
async fn status_counts_and_reset_leaves_nothing() {
    let rig = Rig::start();
    let id = rig.vm().await;
    rig.send("POST", "/v1/snapshots", json!({ "vmId": id }).to_string())
        .await;
    let found = status(options(rig.data.path())).unwrap();
    assert_eq!((found.vms, found.running, found.snapshots), (1, 1, 1));
    assert!(found.disk_bytes > 0);
    let init = init_of(rig.data.path(), &id);
    std::fs::write(rig.data.path().join("mine"), "not the engine's").unwrap();
    let mut rig = rig;
    rig.engine.take().unwrap().stop();
    reset(options(rig.data.path())).unwrap();
    assert!(!runs(init));
    let left: Vec<_> = std::fs::read_dir(rig.data.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["mine"]);
}

#[tokio::test]
async fn a_launch_that_fails_leaves_nothing_and_says_why() {
    let rig = Rig::with(|options| options.quotas.vcpu = 2);
    for (request, code, reason) in [
        (
            json!({ "machineType": "c3m1" }),
            403,
            "vcpu is limited to 2, 0 in use, 2 left",
        ),
        (
            json!({ "machineType": "big" }),
            400,
            "unknown machine type \"big\": use cNmM, for example c1m2",
        ),
        (
            json!({ "machineType": "c1m1", "ttl": { "action": "stop", "seconds": 1 } }),
            400,
            "ttl action \"stop\" is not pause or delete",
        ),
        (
            json!({ "machineType": "c1m1", "volumes": [{ "volumeId": "a", "mountPath": "/b" }] }),
            404,
            "volume \"a\" not found",
        ),
        (
            json!({ "machineType": "c1m1", "diskGiB": 0 }),
            400,
            "diskGiB",
        ),
        (
            json!({ "machineType": "c1m1", "envVars": { "1": "" } }),
            400,
            "envVars",
        ),
        (
            json!({ "machineType": "c1m1", "firewall": { "mode": "shut" } }),
            400,
            "firewall mode",
        ),
    ] {
        let (status, answer) = rig.send("POST", "/v1/vms", request.to_string()).await;
        assert_eq!(status, code, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(reason),
            "{answer}"
        );
    }
    let (status, answer) = rig.send("POST", "/v1/vms", "{").await;
    assert_eq!(
        (status, matches!(answer["error"], Value::String(_))),
        (400, true)
    );
    assert_eq!(
        std::fs::read_dir(rig.data.path().join("vms"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        std::fs::read_dir(rig.data.path().join("layers"))
            .unwrap()
            .count(),
        0
    );
}
