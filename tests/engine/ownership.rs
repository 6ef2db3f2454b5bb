//! A data folder has one user, and a disk one machine.

use fastvm_engine::{Error, reset, start, status};
use serde_json::json;

use super::rig::{Rig, options};

#[test]
fn another_user_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(1000), Some(1000)).unwrap();
        folder.path()
    } else {
        std::path::Path::new("/usr")
    };
    for outcome in [
        start(options(foreign)).map(drop),
        status(options(foreign)).map(drop),
        reset(options(foreign)).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("belongs to user"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_vm_whose_machine_lives_is_never_given_a_second_one() {
    let rig = Rig::start();
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
    // Whatever the database says of it.
    let database = rusqlite::Connection::open(rig.data.path().join("state.db")).unwrap();
    database
        .execute("UPDATE vms SET status = 'stopped'", [])
        .unwrap();
    rig.send("POST", &format!("/v1/vms/{id}/resume"), "").await;
    let alive = rig
        .exec(&id, &["sh", "-c", "kill -0 $(cat /root/pid) && echo alive"])
        .await;
    assert_eq!(alive["stdout"], "alive\n", "{alive}");
    let snapshot = json!({ "vmId": id }).to_string();
    assert_eq!(rig.send("POST", "/v1/snapshots", snapshot).await.0, 201);
}
