//! What a machine that ended by itself leaves, and that it goes.

use std::fs;
use std::path::{Path, PathBuf};

use fastvm_sandbox::mark_of;

use super::recovery::{init_of, kill};
use super::rig::Rig;

/// The control groups of a data folder, wherever they can be seen.
fn groups(data: &Path) -> Vec<PathBuf> {
    let prefix = format!("fastvm-{}-", mark_of(data));
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                found.push(entry.path());
            } else if depth < 5 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

/// Sockets and notes of boots in the folder of a VM.
fn traces(data: &Path, id: &str) -> usize {
    let names = fs::read_dir(data.join("vms").join(id)).unwrap();
    let is_trace = |name: &str| name.len() >= 41 && name.as_bytes()[8] == b'-';
    names
        .filter(|entry| is_trace(&entry.as_ref().unwrap().file_name().to_string_lossy()))
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            !name.to_string_lossy().starts_with("work-")
        })
        .count()
}

async fn wait_until_stopped(rig: &Rig, id: &str) {
    while rig.get(&format!("/v1/vms/{id}")).await.1["status"] != "stopped" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_machine_that_ended_by_itself_leaves_no_group_socket_or_note() {
    let rig = Rig::start();
    let id = rig.vm().await;
    let running = groups(rig.data.path()).len();
    for _ in 0..3 {
        kill(init_of(rig.data.path(), &id));
        wait_until_stopped(&rig, &id).await;
        let (status, answer) = rig.send("POST", &format!("/v1/vms/{id}/resume"), "").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(groups(rig.data.path()).len(), running);
        // Its socket, and the note of its groups where it has some.
        assert_eq!(traces(rig.data.path(), &id), 1 + usize::from(running > 0));
    }
    kill(init_of(rig.data.path(), &id));
    let (status, answer) = rig.send("DELETE", &format!("/v1/vms/{id}"), "").await;
    assert_eq!(status, 200, "{answer}");
    while !groups(rig.data.path()).is_empty() {
        // A process that is being taken apart counts for a moment; the next boot or engine finds it gone.
        let (_, other) = rig
            .send("POST", "/v1/vms", r#"{"machineType":"c1m1"}"#)
            .await;
        let other = other["id"].as_str().unwrap();
        rig.send("DELETE", &format!("/v1/vms/{other}"), "").await;
        let again = Rig::beside(&rig);
        again.get("/v1/vms").await;
    }
}
