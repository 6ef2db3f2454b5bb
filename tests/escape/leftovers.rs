//! What is left of a machine that has ended, however it did: control groups, sockets, notes, mounts and
//! processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastvm_sandbox::{BootSpec, Exit, Machine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

use crate::deadline::within_deadline;
use crate::lab::{Guest, Lab, mounts_below, program, shell};
use crate::probe::{self, Report};
use crate::syscalls::call;

/// How long the kernel may take to end the processes of a machine without init.
const END_TIME: Duration = Duration::from_secs(10);

/// Everything of a boot of a machine that can be found, by the marks that it carries.
pub(crate) fn leftovers(spec: &BootSpec) -> Vec<PathBuf> {
    let id = spec.id.simple().to_string();
    let mut found = Vec::new();
    find_groups(Path::new("/sys/fs/cgroup"), &id, &mut found);
    let entries = fs::read_dir(&spec.run).into_iter().flatten();
    let nonce = spec.nonce.simple().to_string();
    let of_boot = |path: &PathBuf| path.to_string_lossy().contains(&nonce);
    found.extend(entries.map(|entry| entry.unwrap().path()).filter(of_boot));
    if mounts_below(spec.upper.parent().unwrap()) > 0 {
        found.push(PathBuf::from("mounts"));
    }
    found
}

fn find_groups(folder: &Path, id: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(id) {
            found.push(path.clone());
        }
        find_groups(&path, id, found);
    }
}

/// Waits until a machine has ended by itself.
pub(crate) fn wait_for_end(guest: &Guest) {
    wait_for_end_of(&guest.machine);
}

fn wait_for_end_of(machine: &Machine) {
    let end = Instant::now() + END_TIME;
    while !machine.is_gone().unwrap() {
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn nothing_is_left_of_a_machine_that_was_killed() {
    let lab = Lab::new();
    let guest = lab.boot();
    // What is looked for is there while it lives.
    assert!(!leftovers(&guest.spec).is_empty());
    let _process = guest.machine.exec(&shell("sleep 1000")).unwrap();
    guest.machine.kill().unwrap();
    assert_eq!(leftovers(&guest.spec), Vec::<PathBuf>::new());
}

#[test]
fn nothing_is_left_of_a_machine_whose_init_was_killed() {
    let lab = Lab::new();
    let guest = lab.boot();
    let _process = guest
        .machine
        .exec(&shell("setsid sleep 1000 & sleep 1000"))
        .unwrap();
    kill_machine(&guest.machine);
    guest.machine.kill().unwrap();
    assert_eq!(leftovers(&guest.spec), Vec::<PathBuf>::new());
}

#[test]
fn nothing_is_left_of_a_frozen_machine_whose_init_was_killed() {
    let lab = Lab::new();
    let guest = lab.boot();
    let init = Pid::from_raw(guest.machine.pid().unwrap()).unwrap();
    let _process = guest.machine.exec(&shell("sleep 1000")).unwrap();
    guest.machine.stop_all().unwrap();
    kill_process(init, Signal::KILL).unwrap();
    let machine = guest.machine.clone();
    within_deadline("kill", move || machine.kill()).unwrap();
    assert_eq!(leftovers(&guest.spec), Vec::<PathBuf>::new());
}

/// A resume boots the same machine again, in the same folder of sockets.
#[test]
fn the_next_boot_sweeps_what_a_dead_init_left() {
    let lab = Lab::new();
    let guest = lab.boot();
    kill_machine(&guest.machine);
    lab.host.remove_tree(&guest.spec.work).unwrap();
    let mut spec = guest.spec.clone();
    spec.nonce = Uuid::new_v4();
    let next = lab.boot_as(spec);
    let sockets = fs::read_dir(&guest.spec.run).unwrap();
    let nonce = guest.spec.nonce.simple().to_string();
    let old = sockets.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains(&nonce)
    });
    assert_eq!(old.count(), 0);
    next.machine.kill().unwrap();
    assert_eq!(leftovers(&guest.spec), Vec::<PathBuf>::new());
    assert_eq!(leftovers(&next.spec), Vec::<PathBuf>::new());
}

#[test]
fn a_machine_that_reboots_itself_leaves_nothing() {
    let lab = Lab::new();
    for way in ["reboot", "power off"] {
        let guest = probe::boot(&lab);
        let machine = guest.machine.clone();
        let way = way.to_owned();
        // The machine may end, or refuse; it must not be between the two.
        let ended = within_deadline("reboot", move || {
            let mut process = machine.exec(&probe::command("leftovers", &[&way])).unwrap();
            process.wait()
        });
        match ended {
            Ok(exit) => {
                assert_eq!(exit, Exit::Code(0));
                assert_eq!(guest.says("echo alive"), "alive\n");
            }
            Err(_) => wait_for_end(&guest),
        }
        guest.machine.kill().unwrap();
        assert_eq!(leftovers(&guest.spec), Vec::<PathBuf>::new());
    }
}

/// A data folder that is reset in the end, and commands that work on it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("local")
    }

    /// What a command prints; it must succeed.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(program());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("FASTVM_LOCAL_DIR", self.data())
            .stdin(std::process::Stdio::null());
        let output = within_deadline("command", move || command.output()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Launches a VM and returns its id and its machine.
    fn launch(&self) -> (Uuid, Machine) {
        let arguments = [
            "--local", "vm", "launch", "--type", "c1m1", "--ttl", "1h", "-o", "id",
        ];
        let id: Uuid = self.run(&arguments).parse().unwrap();
        let run = self.data().join("vms").join(id.to_string());
        let start = format!("{}-", &id.simple().to_string()[..8]);
        let names = fs::read_dir(&run)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let nonce = names
            .filter_map(|name| name.to_str()?.strip_prefix(&start)?.parse().ok())
            .next()
            .unwrap();
        (id, Machine::connect(&run, id, nonce).unwrap())
    }

    /// What is left of a VM, and of all processes that work on the folder.
    fn leftovers(&self, id: Uuid) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let group = id.simple().to_string();
        find_groups(Path::new("/sys/fs/cgroup"), &group, &mut found);
        let data = self.data();
        for process in fs::read_dir("/proc").unwrap() {
            let process = process.unwrap().path();
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(data.to_str().unwrap()) {
                found.push(process);
            }
        }
        if mounts_below(&data) > 0 {
            found.push(PathBuf::from("mounts"));
        }
        found.extend(Some(data).filter(|data| data.exists()));
        found
    }
}

impl Home {
    /// The keeper ends when it sees that there is nothing to keep, which it looks for now and then.
    fn assert_nothing_left(&self, vms: &[Uuid]) {
        let end = Instant::now() + END_TIME;
        loop {
            let found: Vec<PathBuf> = vms.iter().flat_map(|id| self.leftovers(*id)).collect();
            if found.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{found:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.data().exists() {
            self.run(&["local", "reset", "--yes"]);
        }
    }
}

fn kill_machine(machine: &Machine) {
    let init = Pid::from_raw(machine.pid().unwrap()).unwrap();
    kill_process(init, Signal::KILL).unwrap();
    wait_for_end_of(machine);
}

#[test]
fn a_reset_leaves_nothing_of_machines_that_live_or_have_died() {
    let home = Home::new();
    let (live, _) = home.launch();
    let (dead, machine) = home.launch();
    // What is looked for is there: the data folder, and its keeper of TTLs.
    assert!(home.leftovers(live).len() > 1);
    kill_machine(&machine);
    home.run(&["local", "reset", "--yes"]);
    home.assert_nothing_left(&[live, dead]);
}

#[test]
fn a_reset_without_a_database_ends_what_runs() {
    let home = Home::new();
    let (id, machine) = home.launch();
    let init = Pid::from_raw(machine.pid().unwrap()).unwrap();
    let init = pidfd_open(init, PidfdFlags::empty()).unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        fs::remove_file(home.data().join(name)).unwrap_or_default();
    }
    home.run(&["local", "reset", "--yes"]);
    // One that has lost its socket cannot be asked. One that has ended may wait for its parent to notice.
    let mut watched = [PollFd::new(&init, PollFlags::IN)];
    let alive = poll(&mut watched, Some(&Timespec::default())).unwrap() == 0;
    pidfd_send_signal(&init, Signal::KILL).unwrap_or_default();
    assert!(!alive, "the machine lives on");
    home.assert_nothing_left(&[id]);
}

/// Whatever an engine is started for, it sweeps what a machine has left that died meanwhile.
#[test]
fn the_next_engine_sweeps_what_a_dead_machine_left() {
    let home = Home::new();
    let (id, machine) = home.launch();
    kill_machine(&machine);
    home.run(&["--local", "vm", "list"]);
    let mut found = Vec::new();
    find_groups(
        Path::new("/sys/fs/cgroup"),
        &id.simple().to_string(),
        &mut found,
    );
    let entries = fs::read_dir(home.data().join("vms").join(id.to_string())).unwrap();
    let start = format!("{}-", &id.simple().to_string()[..8]);
    let sockets = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(&start)
    });
    found.extend(sockets);
    assert_eq!(found, Vec::<PathBuf>::new());
}

pub(crate) fn attack(report: &Report, arguments: &[String]) {
    let command = match arguments[0].as_str() {
        "reboot" => libc::LINUX_REBOOT_CMD_RESTART,
        "power off" => libc::LINUX_REBOOT_CMD_POWER_OFF,
        other => panic!("{other}"),
    };
    // Inside this ends the init of the machine, outside it would end everything.
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    assert!(!users.contains("4294967295"), "this is not a machine");
    let numbers = [0xfee1_dead_u32, 672_274_793, command.cast_unsigned()];
    let numbers = numbers.map(|number| usize::try_from(number).unwrap());
    report.attempt("reboot", call(libc::SYS_reboot, &numbers));
}
