//! One client: random commands on VMs of its own, some of them killed, and what it knows of those VMs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastvm_sandbox::INIT_NAME;
use rustix::process::{Pid, Signal, kill_process};

use crate::Tally;
use crate::common::{Home, Ran};
use crate::remains;

/// A command that takes longer hangs.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// A killed command lives at most so long, in microseconds.
const LONGEST_LIFE: u64 = 90_000;
/// What stands for a file that is not there.
const NO_FILE: u64 = 0;
/// How many VMs and snapshots a client keeps.
const MOST_VMS: usize = 4;
const MOST_SNAPSHOTS: usize = 4;

/// What is known of a VM.
#[derive(Clone, Debug)]
struct Known {
    /// Whether a command told that it is there. Else one that was killed may have made or deleted it.
    certain: bool,
    /// The numbers that its file may hold.
    content: BTreeSet<u64>,
    /// Whether its init was killed since it was last seen to run.
    init_killed: bool,
    paused: Option<bool>,
}

pub(crate) struct Client<'a> {
    home: &'a Home,
    name: String,
    random: u64,
    next: u64,
    vms: BTreeMap<String, Known>,
    /// What each certain snapshot may hold.
    snapshots: BTreeMap<String, BTreeSet<u64>>,
    tally: Tally,
}

impl<'a> Client<'a> {
    pub(crate) fn new(home: &'a Home, seed: u64, number: u64) -> Self {
        Self {
            home,
            name: format!("c{number}"),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number + 1),
            next: 1,
            vms: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn work_until(mut self, end: Instant) -> Tally {
        while Instant::now() < end && self.tally.violations.is_empty() {
            self.step();
        }
        self.check_list();
        for name in self.vms.keys().cloned().collect::<Vec<_>>() {
            self.check_vm(&name);
        }
        self.tally
    }

    fn step(&mut self) {
        if self.vms.is_empty() {
            return self.launch();
        }
        match self.below(12) {
            0 if self.vms.len() < MOST_VMS => self.launch(),
            1 if self.vms.len() < MOST_VMS => self.restore(),
            2 => self.delete(),
            3 => self.kill_init(),
            4 => self.kill_keeper(),
            5 | 6 => self.snapshot(),
            7 => self.pause_or_resume(),
            8 => self.check_list(),
            9 => {
                let name = self.pick();
                self.check_vm(&name);
            }
            _ => self.write(),
        }
    }

    fn launch(&mut self) {
        let name = self.fresh_name("v");
        let done = self.act(
            "launch",
            &["vm", "launch", "--type", "c1m1", "--name", &name],
        );
        self.remember(name, done, BTreeSet::from([NO_FILE]));
    }

    fn restore(&mut self) {
        let Some((snapshot, content)) = self.snapshots.pop_first() else {
            return;
        };
        self.snapshots.insert(snapshot.clone(), content.clone());
        let name = self.fresh_name("r");
        let done = self.act(
            "restore",
            &["snapshot", "restore", &snapshot, "--name", &name],
        );
        self.remember(name, done, content);
    }

    fn remember(&mut self, name: String, done: Option<bool>, content: BTreeSet<u64>) {
        if done != Some(false) {
            let known = Known {
                certain: done == Some(true),
                content,
                init_killed: false,
                paused: Some(false),
            };
            self.vms.insert(name, known);
        }
    }

    fn delete(&mut self) {
        let name = self.pick();
        match self.act("delete", &["vm", "delete", &name, "--yes"]) {
            Some(true) => drop(self.vms.remove(&name)),
            _ => self.doubt(&name),
        }
    }

    fn write(&mut self) {
        let name = self.pick();
        if !self.make_run(&name) {
            return;
        }
        let number = self.number();
        let script = format!("echo {number} > /root/n.new && mv /root/n.new /root/n");
        let done = self.act("exec", &["exec", &name, &script]);
        if let Some(known) = self.vms.get_mut(&name) {
            match done {
                Some(true) => known.content = BTreeSet::from([number]),
                _ => drop(known.content.insert(number)),
            }
        }
    }

    fn snapshot(&mut self) {
        if self.snapshots.len() >= MOST_SNAPSHOTS
            && let Some((old, _)) = self.snapshots.pop_first()
        {
            self.act("delete snapshot", &["snapshot", "delete", &old, "--yes"]);
            return;
        }
        let name = self.pick();
        if !self.vms[&name].certain {
            return;
        }
        if self.below(2) == 0 && self.make_run(&name) {
            self.act("exec", &["exec", &name, "sleep 1000 >/dev/null 2>&1 &"]);
        }
        let snapshot = self.fresh_name("s");
        let content = self.vms[&name].content.clone();
        let done = self.act(
            "snapshot",
            &["snapshot", "create", &name, "--name", &snapshot],
        );
        if done == Some(true) {
            self.snapshots.insert(snapshot, content);
        }
    }

    fn pause_or_resume(&mut self) {
        let name = self.pick();
        let verb = if self.below(2) == 0 {
            "pause"
        } else {
            "resume"
        };
        let done = self.act(verb, &["vm", verb, &name]);
        if let Some(known) = self.vms.get_mut(&name) {
            known.paused = (done == Some(true)).then_some(verb == "pause");
        }
    }

    fn kill_init(&mut self) {
        let name = self.pick();
        let Some(vm) = self.get(&name) else { return };
        let id = vm["id"].as_str().unwrap_or_default().to_owned();
        for (number, words) in remains::find(&self.home.join("local"), INIT_NAME) {
            if words.get(2) == Some(&id) {
                self.tally.killed_inits += u64::from(kill(number));
                wait_for_end(number);
                if let Some(known) = self.vms.get_mut(&name) {
                    known.init_killed = true;
                }
            }
        }
    }

    fn kill_keeper(&mut self) {
        for (number, _) in remains::find(&self.home.join("local"), "fastvm-keeper") {
            self.tally.killed_keepers += u64::from(kill(number));
        }
    }

    /// Compares the list of VMs with what is known.
    fn check_list(&mut self) {
        let ran = self.run(&["vm", "list", "-o", "json"]);
        let Ok(serde_json::Value::Array(list)) = serde_json::from_str(&ran.stdout) else {
            return self.violation(&format!("vm list: {ran}"));
        };
        let own = format!("{}-", self.name);
        let listed: BTreeSet<String> = list
            .iter()
            .filter_map(|vm| vm["name"].as_str())
            .filter(|name| name.starts_with(&own))
            .map(str::to_owned)
            .collect();
        for name in &listed {
            if !self.vms.contains_key(name) {
                self.violation(&format!(
                    "vm list shows {name}, which was deleted or never made"
                ));
            }
        }
        for (name, known) in self.vms.clone() {
            if !listed.contains(&name) {
                if known.certain {
                    self.violation(&format!("vm list lacks {name}"));
                }
                self.vms.remove(&name);
            }
        }
    }

    /// Compares what a VM holds with what is known.
    fn check_vm(&mut self, name: &str) {
        if !self.make_run(name) {
            return;
        }
        let allowed = self.vms[name].content.clone();
        let ran = self.run(&["exec", name, "cat /root/n 2>/dev/null || echo 0"]);
        match ran.stdout.trim().parse() {
            Ok(held) if allowed.contains(&held) => {
                if let Some(known) = self.vms.get_mut(name) {
                    known.content = BTreeSet::from([held]);
                }
            }
            // It may be on its way out.
            _ if !self.vms[name].certain => {}
            _ => self.violation(&format!("{name} does not hold one of {allowed:?}: {ran}")),
        }
    }

    /// Makes sure that a VM runs; `false` if it is not there, which it must be if that is certain.
    fn make_run(&mut self, name: &str) -> bool {
        let Some(vm) = self.get(name) else {
            return false;
        };
        let status = vm["status"].as_str().unwrap_or_default();
        let known = self.vms[name].clone();
        let is_expected = match status {
            "running" => true,
            "paused" => known.paused != Some(false),
            "stopped" => known.init_killed,
            _ => !known.certain,
        };
        if !is_expected {
            self.violation(&format!("{name} is {status}, known is {known:?}: {vm}"));
            return false;
        }
        if status == "running" {
            return true;
        }
        let ran = self.run(&["vm", "resume", name]);
        if ran.code != 0 && known.certain {
            self.violation(&format!("resume of {name}, {status}: {ran}"));
        }
        if let Some(known) = self.vms.get_mut(name) {
            known.paused = Some(false);
            known.init_killed = false;
        }
        ran.code == 0
    }

    fn get(&mut self, name: &str) -> Option<serde_json::Value> {
        let ran = self.run(&["vm", "get", name, "-o", "json"]);
        if ran.code == 0 {
            return serde_json::from_str(&ran.stdout).ok();
        }
        if self.vms.get(name).is_some_and(|known| known.certain) {
            self.violation(&format!("vm get {name}: {ran}"));
        }
        self.vms.remove(name);
        None
    }

    fn doubt(&mut self, name: &str) {
        if let Some(known) = self.vms.get_mut(name) {
            known.certain = false;
        }
    }

    /// Runs a command that changes something, and kills every third one. `None` if it is not known what became of it.
    fn act(&mut self, what: &'static str, arguments: &[&str]) -> Option<bool> {
        *self.tally.commands.entry(what).or_default() += 1;
        if self.below(3) > 0 {
            let ran = self.run(arguments);
            let certain = arguments.iter().all(|word| {
                self.vms
                    .get(*word)
                    .is_none_or(|known| known.certain && !known.init_killed)
            });
            if ran.code != 0 && certain && !matches!(what, "pause" | "resume" | "exec" | "snapshot")
            {
                self.violation(&format!("{arguments:?}: {ran}"));
            }
            return (ran.code == 0).then_some(true);
        }
        let life = Duration::from_micros(self.below(LONGEST_LIFE));
        let mut child = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(life);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        self.tally.killed_commands += u64::from(status.code().is_none());
        status.success().then_some(true)
    }

    fn run(&mut self, arguments: &[&str]) -> Ran {
        let started = Instant::now();
        let ran = Ran::of(&self.command(arguments).output().unwrap());
        if started.elapsed() > COMMAND_TIMEOUT {
            self.violation(&format!("{arguments:?} took {:?}", started.elapsed()));
        }
        ran
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.home.command(&[&["--local"], arguments].concat())
    }

    fn violation(&mut self, what: &str) {
        self.tally.violations.push(format!("{}: {what}", self.name));
    }

    fn fresh_name(&mut self, kind: &str) -> String {
        let number = self.number();
        format!("{}-{kind}{number}", self.name)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn pick(&mut self) -> String {
        let count = u64::try_from(self.vms.len()).unwrap();
        let index = usize::try_from(self.below(count)).unwrap();
        self.vms.keys().nth(index).unwrap().clone()
    }

    /// A number from 0 to below `end`, by xorshift.
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }
}

/// Until it has closed its files a killed init counts as alive.
fn wait_for_end(number: i32) {
    let end = Instant::now() + Duration::from_secs(5);
    let is_gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    };
    while !is_gone() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn kill(number: i32) -> bool {
    Pid::from_raw(number).is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
}
