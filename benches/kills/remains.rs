//! What is left of a data folder: processes, control groups, mounts, files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastvm_sandbox::{INIT_NAME, mark_of};

use crate::common::Home;

/// How long what goes on in the background may take.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes all VMs and snapshots; returns what is left then.
pub(crate) fn after_deleting_all(home: &Home) -> Vec<String> {
    let data = home.join("local");
    let mut found = Vec::new();
    for arguments in [
        &["--local", "vm", "delete", "--all", "--yes"][..],
        &["--local", "ls"],
    ] {
        let ran = home.run(arguments);
        if ran.code != 0 {
            found.push(format!("{arguments:?}: {ran}"));
        }
    }
    let snapshots = home.ok(&["--local", "snapshot", "list", "-o", "json"]);
    let snapshots: serde_json::Value = serde_json::from_str(&snapshots).unwrap();
    for snapshot in snapshots.as_array().unwrap() {
        let id = snapshot["id"].as_str().unwrap();
        let ran = home.run(&["--local", "snapshot", "delete", id, "--yes"]);
        if ran.code != 0 {
            found.push(format!("delete of snapshot {snapshot}: {ran}"));
        }
    }
    home.ok(&["--local", "ls"]);
    found.extend(settled(|| {
        let mut left = Vec::new();
        for folder in ["vms", "layers", "blobs", "trash"] {
            let entries = fs::read_dir(data.join(folder)).into_iter().flatten();
            left.extend(entries.map(|entry| format!("left: {}", entry.unwrap().path().display())));
        }
        left.extend(processes(&data, INIT_NAME));
        left.extend(groups(&data));
        left
    }));
    found
}

/// Resets the data folder; returns what is left then.
pub(crate) fn after_reset(home: &Home) -> Vec<String> {
    let data = home.join("local");
    // While it is there: a mark is made from the path without links.
    let mark = mark_of(&data);
    home.ok(&["local", "reset", "--yes", "--quiet"]);
    let mut found = settled(|| {
        let mut left = processes(&data, "fastvm");
        left.extend(groups(&data));
        left
    });
    if data.exists() {
        found.push(format!("left: {}", data.display()));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ours = |line: &&str| line.contains(&mark) || line.contains(data.to_str().unwrap());
    found.extend(
        mounts
            .lines()
            .filter(ours)
            .map(|line| format!("mount left: {line}")),
    );
    found
}

/// Looks until nothing is left, or as long as things may take.
fn settled(look: impl Fn() -> Vec<String>) -> Vec<String> {
    let end = Instant::now() + SETTLE_TIMEOUT;
    loop {
        let left = look();
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The processes of a data folder whose name begins so, with their numbers.
pub(crate) fn find(data: &Path, name: &str) -> Vec<(i32, Vec<String>)> {
    let mark = mark_of(data);
    let folder = data.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let words: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let is_ours = words
                .get(1)
                .is_some_and(|word| *word == mark || *word == folder);
            (words[0].starts_with(name) && is_ours).then_some((number, words))
        })
        .collect()
}

fn processes(data: &Path, name: &str) -> Vec<String> {
    let left = find(data, name).into_iter();
    left.map(|(number, words)| format!("process left: {number} {words:?}"))
        .collect()
}

fn groups(data: &Path) -> Vec<String> {
    let prefix = format!("fastvm-{}-", mark_of(data));
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                found.push(format!("control group left: {}", entry.path().display()));
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && folder.components().count() < 9
            {
                folders.push(entry.path());
            }
        }
    }
    found
}
