//! Verbs whose process is killed in the middle: the VM goes on, and nothing stays half made.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::recovery::{init_of, kill};
use super::rig::Rig;
use crate::common::{Home, Serving};

/// A VM named `dev` that commands of their own work on.
struct Dev {
    home: Home,
    id: String,
}

/// How long anything here may take before it counts as never.
const LIMIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Dev {
    /// One without processes.
    fn idle() -> Self {
        let home = Home::new();
        let launch = ["--local", "launch", "-n", "dev", "--no-console", "-o", "id"];
        let id = home.ok(&launch);
        Self { home, id }
    }

    /// One with a process that writes, and a disk whose copy takes a while.
    fn busy() -> Self {
        let dev = Self::idle();
        let script = "mkdir /root/many; cd /root/many; seq 20000 | xargs touch
            (while :; do echo >> /root/n; sleep 0.01; done) >/dev/null 2>&1 &
            until [ -s /root/n ]; do sleep 0.01; done";
        dev.home.ok(&["--local", "exec", "dev", script]);
        dev
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.home.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn column(&self, name: &str) -> String {
        let database = rusqlite::Connection::open(self.home.join("local/state.db")).unwrap();
        database.busy_timeout(LIMIT).unwrap();
        let question = format!("SELECT CAST({name} AS TEXT) FROM vms WHERE id = ?1");
        database
            .query_row(&question, [&self.id], |row| row.get(0))
            .unwrap()
    }

    fn in_folder(&self, name: &str) -> PathBuf {
        self.home.join("local/vms").join(&self.id).join(name)
    }

    /// How much the process of a busy one has written, as seen from outside.
    fn written(&self) -> u64 {
        let upper = self.home.join("local/layers").join(self.column("upper"));
        upper.join("root/root/n").metadata().unwrap().len()
    }

    fn goes_on(&self) {
        let before = self.written();
        until("the vm goes on", || self.written() > before);
    }

    fn kill_keeper(&self) {
        let data = self.home.join("local").display().to_string();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read_to_string(process.path().join("cmdline"));
            let line = line.unwrap_or_default();
            if line.starts_with("fastvm-keeper\0") && line.contains(&data) {
                kill(process.file_name().to_str().unwrap().parse().unwrap());
            }
        }
    }

    fn is_as_if_nothing_had_been(&self) {
        until("nothing of the copy is left", || {
            !self.in_folder("copy").exists()
        });
        let notes = || self.column("status || ' ' || halted || copying || booting");
        until("the row says so", || notes() == "running 000");
        assert_eq!(
            self.home.ok(&["--local", "ls", "--columns", "name,status"]),
            "NAME  STATUS\ndev   running"
        );
        self.home.ok(&["--local", "exec", "dev", "true"]);
    }
}

fn signal(process: &Child, name: &str) {
    let id = process.id().to_string();
    let status = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_vm_goes_on_and_no_copy_stays_when_the_command_that_made_its_snapshot_is_killed() {
    let dev = Dev::busy();
    let mut command = dev.start(&["--local", "snapshot", "create", "dev"]);
    until("it copies", || dev.in_folder("copy").exists());
    command.kill().unwrap();
    command.wait().unwrap();
    dev.goes_on();
    dev.is_as_if_nothing_had_been();
    assert_eq!(dev.home.ok(&["--local", "snapshot", "ls", "-o", "id"]), "");
}

#[test]
fn a_vm_goes_on_and_the_snapshot_is_named_when_its_command_is_told_to_end() {
    let dev = Dev::busy();
    for (name, number) in [("-TERM", 15), ("-HUP", 1)] {
        let mut create = dev.home.command(&["--local", "snapshot", "create", "dev"]);
        let create = create.stdout(Stdio::null()).stderr(Stdio::piped());
        let command = create.spawn().unwrap();
        until("it copies", || dev.in_folder("copy").exists());
        signal(&command, name);
        let output = command.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + number), "{output:?}");
        dev.goes_on();
        dev.is_as_if_nothing_had_been();
        let id = dev.home.ok(&["--local", "snapshot", "ls", "-o", "id"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!id.is_empty() && told.contains(&id), "{id}: {told}");
        dev.home
            .ok(&["--local", "snapshot", "delete", &id, "--yes"]);
    }
}

#[test]
fn a_vm_goes_on_and_no_copy_stays_when_the_engine_that_serves_is_killed_or_interrupted() {
    let dev = Dev::busy();
    for name in ["-KILL", "-INT"] {
        let serving = Serving::start(&dev.home);
        let client = dev.home.command(&["snapshot", "create", "dev"]);
        let mut client = with_server(client, &serving);
        until("it copies", || dev.in_folder("copy").exists());
        serving.signal(name);
        serving.wait();
        client.wait().unwrap();
        dev.goes_on();
        dev.is_as_if_nothing_had_been();
    }
}

fn with_server(mut client: Command, serving: &Serving) -> Child {
    client
        .env("FASTVM_BASE_URL", &serving.url)
        .env("FASTVM_API_KEY", &serving.key)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    client.spawn().unwrap()
}

#[test]
fn no_half_copy_of_a_paused_vm_stays() {
    let dev = Dev::busy();
    dev.home.ok(&["--local", "vm", "pause", "dev"]);
    let mut command = dev.start(&["--local", "snapshot", "create", "dev"]);
    until("it copies", || dev.in_folder("copy").exists());
    command.kill().unwrap();
    command.wait().unwrap();
    dev.home.ok(&["--local", "ls"]);
    assert!(!dev.in_folder("copy").exists());
    assert_eq!(dev.column("status || halted || copying"), "paused00");
    dev.home.ok(&["--local", "vm", "resume", "dev"]);
    dev.goes_on();
    dev.is_as_if_nothing_had_been();
}

#[test]
fn a_vm_whose_keeper_was_killed_too_goes_on_and_the_next_command_cleans_up() {
    let dev = Dev::busy();
    let mut command = dev.start(&["--local", "snapshot", "create", "dev"]);
    until("it copies", || dev.in_folder("copy").exists());
    dev.kill_keeper();
    command.kill().unwrap();
    command.wait().unwrap();
    dev.goes_on();
    assert_eq!(dev.column("halted || copying"), "11");
    dev.home.ok(&["--local", "ls"]);
    assert_eq!(dev.column("halted || copying"), "00");
    assert!(!dev.in_folder("copy").exists());
    dev.is_as_if_nothing_had_been();
}

#[test]
fn a_pause_that_is_cut_off_is_whole_or_was_none() {
    let dev = Dev::busy();
    for _ in 0..5 {
        let mut command = dev.start(&["--local", "vm", "pause", "dev"]);
        until("it pauses", || {
            dev.column("halted") == "1" || dev.column("status") == "paused"
        });
        command.kill().unwrap();
        command.wait().unwrap();
        dev.home.ok(&["--local", "ls"]);
        assert_eq!(dev.column("halted"), "0");
        if dev.column("status") == "paused" {
            let before = dev.written();
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(dev.written(), before);
            dev.home.ok(&["--local", "vm", "resume", "dev"]);
        }
        dev.goes_on();
        dev.is_as_if_nothing_had_been();
    }
}

#[test]
fn an_idle_vm_runs_on_when_the_command_that_made_its_snapshot_is_killed() {
    let dev = Dev::idle();
    for milliseconds in 0..5 {
        let mut command = dev.start(&["--local", "snapshot", "create", "dev"]);
        // Some are killed before the machine is, some while it boots.
        while dev.column("booting") == "0" && command.try_wait().unwrap().is_none() {}
        std::thread::sleep(Duration::from_millis(milliseconds));
        command.kill().unwrap();
        command.wait().unwrap();
        // Where the keeper was faster, it still boots the VM now.
        dev.home.ok(&["--local", "ls"]);
        until("it runs again", || {
            dev.column("status || booting || copying") == "running00"
        });
        assert!(!dev.in_folder("next").exists());
        dev.is_as_if_nothing_had_been();
        let creating = dev.home.ok(&[
            "--local",
            "snapshot",
            "ls",
            "-q",
            ".[] | select(.status != \"ready\")",
        ]);
        assert_eq!(creating, "");
    }
}

/// Processes of the machines of a VM, and its control groups.
fn remains(id: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let in_a_group = |process: &std::fs::DirEntry| {
        let groups = std::fs::read_to_string(process.path().join("cgroup"));
        groups.is_ok_and(|groups| groups.contains(id))
    };
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
    let folders = hierarchies
        .flatten()
        .flat_map(|hierarchy| std::fs::read_dir(hierarchy.path()).into_iter().flatten())
        .flatten()
        .filter(|group| group.file_name().to_string_lossy().contains(id));
    let processes = processes.filter(in_a_group);
    processes.chain(folders).map(|entry| entry.path()).collect()
}

#[test]
fn nothing_stays_of_a_vm_whose_init_was_killed_while_all_else_was_frozen() {
    for command in [
        &["--local", "rm", "dev", "--yes"][..],
        &["local", "reset", "--yes"],
    ] {
        let dev = Dev::busy();
        dev.home.ok(&["--local", "vm", "pause", "dev"]);
        kill(init_of(&dev.home.join("local"), &dev.id));
        dev.home.ok(command);
        assert_eq!(remains(&dev.id), Vec::<PathBuf>::new(), "{command:?}");
    }
}

#[test]
fn a_vm_whose_init_was_killed_while_all_else_was_frozen_starts_again_alone() {
    let dev = Dev::busy();
    for freezes in [&["vm", "pause", "dev"][..], &["snapshot", "create", "dev"]] {
        let mut command = dev.start(&[&["--local"], freezes].concat());
        if freezes[0] == "snapshot" {
            until("it copies", || dev.in_folder("copy").exists());
        } else {
            command.wait().unwrap();
        }
        kill(init_of(&dev.home.join("local"), &dev.id));
        command.wait().unwrap();
        // an init that was killed may still end when the VM is resumed
        until("it was booted again", || {
            let works = |arguments: &[&str]| dev.home.run(arguments).code == 0;
            works(&["--local", "vm", "resume", "dev"]) && works(&["--local", "exec", "dev", "true"])
        });
        let before = dev.written();
        dev.home.ok(&["--local", "exec", "dev", "sleep 0.3"]);
        assert_eq!(
            dev.written(),
            before,
            "what ran before the kill still writes"
        );
        let again = "(while :; do echo >> /root/n; sleep 0.01; done) >/dev/null 2>&1 &";
        dev.home.ok(&["--local", "exec", "dev", again]);
        dev.goes_on();
    }
}

impl Rig {
    /// What a verb leaves in the row whose process died between two machines of a VM.
    fn lose_machine(&self, vm: &str, row: &str) {
        let database = rusqlite::Connection::open(self.data.path().join("state.db")).unwrap();
        kill(init_of(self.data.path(), vm));
        database
            .execute(&format!("UPDATE vms SET {row} WHERE id = ?1"), [vm])
            .unwrap();
    }
}

#[tokio::test]
async fn a_living_engine_boots_a_vm_whose_snapshot_was_cut_off() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.exec(&vm, &["sh", "-c", "echo kept > /root/a"]).await;
    rig.lose_machine(&vm, "booting = 1");
    assert_eq!(rig.exec(&vm, &["cat", "/root/a"]).await["stdout"], "kept\n");
    rig.lose_machine(&vm, "booting = 1");
    let path = format!("/v1/vms/{vm}");
    assert_eq!(rig.get(&path).await.1["status"], "running");
    assert_eq!(rig.exec(&vm, &["cat", "/root/a"]).await["stdout"], "kept\n");
}

#[tokio::test]
async fn a_resume_that_was_cut_off_before_the_boot_is_finished() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.lose_machine(&vm, "status = 'running', halted = 1, booting = 1");
    assert_eq!(rig.exec(&vm, &["echo", "on"]).await["stdout"], "on\n");
}

#[tokio::test]
async fn a_vm_that_was_being_booted_when_the_computer_went_down_is_stopped() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.lose_machine(&vm, "booting = 1, host_boot = 'another'");
    let path = format!("/v1/vms/{vm}");
    while rig.get(&path).await.1["status"] != "stopped" {}
    let resume = format!("{path}/resume");
    assert_eq!(rig.send("POST", &resume, "").await.0, 200);
    assert_eq!(rig.exec(&vm, &["echo", "on"]).await["stdout"], "on\n");
}

#[tokio::test]
async fn a_vm_that_was_being_booted_and_cannot_be_says_why() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    rig.lose_machine(&vm, "booting = 1, upper = 'nowhere'");
    let body = json!({ "command": ["true"] }).to_string();
    let (code, answer) = rig.send("POST", &format!("/v1/vms/{vm}/exec"), body).await;
    assert_eq!(code, 409, "{answer}");
    let reason = "is stopped, not running: it did not boot again: ";
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains(reason), "{answer}");
    assert!(error.ends_with("layer nowhere is missing"), "{answer}");
}
