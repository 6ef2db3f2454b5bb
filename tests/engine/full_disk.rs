//! Guests that fill a disk: everything that frees room works, and they are paused before they fill what is not theirs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::rig::Rig;
use crate::common::{FASTVM, lacks, skip};

/// How long to wait for what must come.
const LONG: Duration = Duration::from_secs(120);

/// What all scripts begin with. Each step says how it ended.
const STEPS: &str = r#"
export HOME=$PWD FASTVM_LOCAL_DIR=$PWD/disk/data
step() { name=$1; shift; output=$("$@" 2>&1); echo "$name: $?"; [ -z "$output" ] || echo "$output" | sed 's/^/  /'; }
until_paused() { for i in $(seq 600); do [ "$($FASTVM --local vm get "$1" -q .status)" != paused ] || return 0; sleep 0.1; done; return 1; }
trap '$FASTVM local reset --yes --quiet' EXIT
"#;

/// One VM fills the disk, another one takes whatever becomes free.
const FILL: &str = r#"
step launch $FASTVM --local launch -n dev --quiet
step launch $FASTVM --local launch -n other --quiet
$FASTVM --local exec other 'for i in 1 2 3 4; do (while :; do cat /dev/zero > /root/eat$i; sleep 0.05; done >/dev/null 2>&1 &); done'
$FASTVM --local exec dev '! cat /dev/zero > /root/fill' 2>/dev/null; echo "full: $?"
"#;

const LOOK_AND_DELETE: &str = r#"
step ls $FASTVM --local ls
step get $FASTVM --local vm get dev
step status $FASTVM local status
step rm $FASTVM --local rm dev --yes
step rm $FASTVM --local rm other --yes
"#;

const RESET: &str = r#"
$FASTVM --local launch -n dev --quiet >/dev/null
$FASTVM --local exec dev '(while :; do cat /dev/zero > /root/fill; done >/dev/null 2>&1 &)'
step reset $FASTVM local reset --yes
[ ! -e disk/data ]; echo "nothing left: $?"
"#;

/// Runs a script in a mount namespace of its own, and returns what it said. `mount` puts a small file system on `disk`.
fn run_in_namespace(mount: &str, script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    // With a process namespace, everything ends with the script.
    let flags: &[&str] = if rustix::process::geteuid().is_root() {
        &["-mpf", "--mount-proc", "--kill-child"]
    } else {
        &["-Urm"]
    };
    let whole = format!("set -u\n{mount} || exit 1\n{STEPS}\n{script}");
    let ran = Command::new("timeout")
        .args(["300", "unshare"])
        .args(flags)
        .args(["bash", "-c", &whole])
        .env("FASTVM", FASTVM)
        .env_remove("FASTVM_LOCAL_DIR")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{errors}");
    said
}

fn assert_all_went_well(said: &str, steps: &[&str]) {
    let heads: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    let wanted: Vec<_> = steps.iter().map(|step| format!("{step}: 0")).collect();
    assert_eq!(heads, wanted, "{said}");
}

const ALL_STEPS: [&str; 10] = [
    "launch",
    "launch",
    "full",
    "ls",
    "get",
    "status",
    "rm",
    "rm",
    "reset",
    "nothing left",
];

#[test]
fn on_a_full_tmpfs_vms_are_looked_at_and_deleted() {
    let script = format!("{FILL}{LOOK_AND_DELETE}{RESET}");
    let said = run_in_namespace("mount -t tmpfs -o size=64m tmpfs disk", &script);
    assert_all_went_well(&said, &ALL_STEPS);
}

/// Puts an ext4 without reserved blocks on `disk`.
const EXT4: &str = "truncate -s 128M image && mkfs.ext4 -q -m 0 image && mount -o loop image disk";

/// Whether file systems in files can be mounted; says so where not.
fn lacks_ext4() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !Path::new("/dev/loop-control").exists() {
        skip("no loop devices for this user");
        return true;
    }
    lacks("mkfs.ext4")
}

#[test]
fn on_a_full_ext4_vms_are_looked_at_and_deleted() {
    if lacks_ext4() {
        return;
    }
    let said = run_in_namespace(EXT4, &format!("{FILL}{LOOK_AND_DELETE}{RESET}"));
    assert_all_went_well(&said, &ALL_STEPS);
}

#[test]
fn on_a_full_ext4_the_first_commands_after_a_boot_of_the_computer_work() {
    if lacks_ext4() {
        return;
    }
    // No process is left, and what is found out about a computer or shared between processes is made anew.
    let script = r#"
step launch $FASTVM --local launch -n dev --quiet
step launch $FASTVM --local launch -n other --quiet
$FASTVM --local exec dev '! cat /dev/zero > /root/fill' 2>/dev/null; echo "full: $?"
kill -9 -1
until [ "$(ls -d /proc/[0-9]* | wc -l)" -le 3 ]; do sleep 0.05; done
rm -f disk/data/images/works-* disk/data/state.db-shm
"#;
    let said = run_in_namespace(EXT4, &format!("{script}{LOOK_AND_DELETE}{RESET}"));
    assert_all_went_well(&said, &ALL_STEPS);
}

#[test]
fn where_a_guest_took_all_inodes_vms_are_looked_at_and_deleted() {
    if !rustix::process::geteuid().is_root() && lacks("unshare") {
        return;
    }
    let script = r#"
step launch $FASTVM --local launch -n dev --quiet
step launch $FASTVM --local launch -n other --quiet
$FASTVM --local exec dev 'i=0; while (: > /root/file$i); do i=$((i+1)); done' 2>/dev/null; echo "full: $?"
step ls $FASTVM --local ls
step status $FASTVM local status
step rm $FASTVM --local rm other --yes
step reset $FASTVM local reset --yes
[ ! -e disk/data ]; echo "nothing left: $?"
"#;
    let mount = "mount -t tmpfs -o size=64m,nr_inodes=2400 tmpfs disk";
    let said = run_in_namespace(mount, script);
    assert_all_went_well(
        &said,
        &[
            "launch",
            "launch",
            "full",
            "ls",
            "status",
            "rm",
            "reset",
            "nothing left",
        ],
    );
}

#[test]
fn a_guest_that_nearly_fills_the_disk_of_the_computer_is_paused_and_told_why() {
    let script = r#"
step launch $FASTVM --local launch -n still --quiet
step launch $FASTVM --local launch -n dev --quiet
$FASTVM --local exec dev '(i=0; while sleep 0.1; do i=$((i+1)); dd if=/dev/zero of=/root/f$i bs=1M count=1; done >/dev/null 2>&1 &)'
until_paused dev; echo "paused: $?"
$FASTVM --local exec dev true
$FASTVM --local exec still true; echo "still runs: $?"
echo "free: $(($(stat -f -c '%a * %S' disk) > 1024 * 1024 ? 0 : 1))"
"#;
    let mount = "mount -t tmpfs -o size=256m tmpfs disk";
    let said = run_in_namespace(mount, &format!("exec 2>&1\n{script}"));
    let reason = "the disk of this computer is nearly full";
    assert!(said.contains(reason), "{said}");
    assert!(
        said.contains("remove files after `fastvm --local vm resume dev`"),
        "{said}"
    );
    let heads = said
        .lines()
        .filter(|line| !line.starts_with([' ', 'e', 'h']));
    let heads: Vec<_> = heads.collect();
    let wanted = [
        "launch: 0",
        "launch: 0",
        "paused: 0",
        "still runs: 0",
        "free: 0",
    ];
    assert_eq!(heads, wanted, "{said}");
}

impl Rig {
    /// Waits for a status that nobody asks an engine for, and returns the reason.
    async fn until_paused(&self, id: &str) -> String {
        let database = rusqlite::Connection::open(self.data.path().join("state.db")).unwrap();
        let look = || {
            let sql = "SELECT status, status_reason FROM vms WHERE id = ?1";
            let row = database.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)));
            let (status, reason): (String, String) = row.unwrap();
            (status == "paused" && !reason.is_empty()).then_some(reason)
        };
        let waiting = async {
            loop {
                match look() {
                    Some(reason) => return reason,
                    None => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(LONG, waiting).await.unwrap()
    }
}

#[tokio::test]
async fn a_vm_that_outgrows_its_disk_is_paused_and_may_remove_files() {
    let rig = Rig::start();
    let request = json!({ "machineType": "c1m1", "diskGiB": 1, "name": "my dev" }).to_string();
    let (_, vm) = rig.send("POST", "/v1/vms", request).await;
    let id = vm["id"].as_str().unwrap();
    let grow = ["fallocate", "-l", "1100M", "/root/file"];
    assert_eq!(rig.exec(id, &grow).await["exitCode"], 0);
    let reason = rig.until_paused(id).await;
    let wanted = "its disk is full: 1.1 GiB of 1 GiB used; remove files after `fastvm vm resume 'my dev'`, or delete it";
    assert_eq!(reason, wanted);
    let body = json!({ "command": ["true"] }).to_string();
    let (code, refused) = rig.send("POST", &format!("/v1/vms/{id}/exec"), body).await;
    assert_eq!(code, 409);
    assert!(
        refused["error"].as_str().unwrap().contains(wanted),
        "{refused}"
    );
    let told = fastvm_engine::status(super::rig::options(rig.data.path())).unwrap();
    assert_eq!(told.notices, [format!("vm my dev is paused: {wanted}")]);

    let (_, resumed) = rig.send("POST", &format!("/v1/vms/{id}/resume"), "").await;
    assert_eq!(resumed["status"], "running");
    // It may go on as long as it does not grow further.
    let wait = ["sh", "-c", "sleep 3; rm /root/file"];
    assert_eq!(rig.exec(id, &wait).await["exitCode"], 0);
}

#[tokio::test]
async fn a_volume_that_outgrows_its_size_pauses_the_vms_that_write_to_it() {
    let rig = Rig::start();
    let volume = json!({ "name": "vol", "backend": "native", "sizeGiB": 1 }).to_string();
    let (_, volume) = rig.send("POST", "/v1/volumes", volume).await;
    let launch = |read_only: bool| {
        let mount =
            json!({ "volumeId": volume["id"], "mountPath": "/data", "readOnly": read_only });
        json!({ "machineType": "c1m1", "volumes": [mount] }).to_string()
    };
    let (_, writer) = rig.send("POST", "/v1/vms", launch(false)).await;
    let (_, reader) = rig.send("POST", "/v1/vms", launch(true)).await;
    let id = writer["id"].as_str().unwrap();
    let grow = ["fallocate", "-l", "1100M", "/data/file"];
    assert_eq!(rig.exec(id, &grow).await["exitCode"], 0);
    let reason = rig.until_paused(id).await;
    assert!(
        reason.starts_with("its volume vol is full: 1.1 GiB of 1 GiB used"),
        "{reason}"
    );
    let reader = rig
        .get(&format!("/v1/vms/{}", reader["id"].as_str().unwrap()))
        .await
        .1;
    assert_eq!(reader["status"], "running");
}

#[tokio::test]
async fn a_disk_that_a_guest_hides_or_counts_twice_is_measured_as_it_is() {
    let rig = Rig::start();
    let request = json!({ "machineType": "c1m1", "diskGiB": 1 }).to_string();
    let (_, vm) = rig.send("POST", "/v1/vms", request).await;
    let id = vm["id"].as_str().unwrap();
    let links = "mkdir /root/links; fallocate -l 600M /root/links/one; cd /root/links; \
                 for i in 1 2 3 4 5; do ln one $i; done; sleep 3";
    assert_eq!(rig.exec(id, &["sh", "-c", links]).await["exitCode"], 0);
    // Deeper than any path, and closed.
    let hidden = "mkdir /root/closed; cd /root/closed; i=0; \
                  while [ $i -lt 300 ]; do mkdir 0123456789abcdef; cd -P 0123456789abcdef 2>/dev/null || cd ./0123456789abcdef; i=$((i+1)); done; \
                  fallocate -l 500M file; chmod 0 /root/closed";
    let body = json!({ "command": ["bash", "-c", hidden] }).to_string();
    let _ = rig.send("POST", &format!("/v1/vms/{id}/exec"), body).await;
    let reason = rig.until_paused(id).await;
    assert!(reason.contains("of 1 GiB used"), "{reason}");
    let (code, _) = rig.send("DELETE", &format!("/v1/vms/{id}"), "").await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn a_file_without_a_name_counts_while_it_is_open() {
    let rig = Rig::start();
    let request = json!({ "machineType": "c1m1", "diskGiB": 1 }).to_string();
    let (_, vm) = rig.send("POST", "/v1/vms", request).await;
    let id = vm["id"].as_str().unwrap();
    let hold = "exec 3> /root/file; rm /root/file; fallocate -l 1100M /proc/self/fd/3; sleep 300 >/dev/null 2>&1 & true";
    let run = rig.exec(id, &["sh", "-c", hold]).await;
    assert_eq!(run["exitCode"], 0, "{run}");
    let reason = rig.until_paused(id).await;
    assert!(
        reason.starts_with("its disk is full: 1.1 GiB of 1 GiB used"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_keeper_watches_while_a_vm_runs_and_goes_after_the_last() {
    let mut rig = Rig::start();
    let has_keeper = |rig: &Rig| {
        std::fs::File::open(rig.data.path().join("keeper.lock"))
            .is_ok_and(|lock| lock.try_lock().is_err())
    };
    let id = rig.vm().await;
    rig.send("DELETE", &format!("/v1/vms/{id}"), "").await;
    rig.engine.take().unwrap().stop();
    assert!(!has_keeper(&rig), "a VM that lived a moment needs none");

    rig.engine = Some(fastvm_engine::start(super::rig::options(rig.data.path())).unwrap());
    let id = rig.vm().await;
    rig.engine.take().unwrap().stop();
    assert!(has_keeper(&rig));
    rig.engine = Some(fastvm_engine::start(super::rig::options(rig.data.path())).unwrap());
    rig.send("DELETE", &format!("/v1/vms/{id}"), "").await;
    let gone = async {
        while has_keeper(&rig) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}
