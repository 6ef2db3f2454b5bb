//! Commands in VMs: how fast their output comes, how soon, and from how many at once; against the official SDK.
//!
//! `cargo bench --bench exec [-- throughput latency lines many]`; `FASTVM_BENCH_ROUNDS` sets the rounds (3). The official
//! SDK's `vms.stream` is run by the interpreter in `FASTVM_TEST_PYTHON`, and left out without one. The machine's own
//! `python3` makes the lines in the VM.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

mod cases;
#[expect(dead_code, unused_imports, reason = "tests need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cases::Cases;
use common::{Home, Serving};

const BYTES: u64 = 1 << 30;
const LINES: usize = 100_000;
const VMS: usize = 200;
/// Measurements of what takes milliseconds.
const SHORT_ROUNDS: usize = 40;

/// Prints lines one write each, and on stderr how many seconds that took.
const PRINT: &str = r#"import os, time
start = time.time()
for number in range(100000): os.write(1, b"line %d\n" % number)
os.write(2, b"%f\n" % (time.time() - start))"#;

/// The SDK's way: the output of a command on standard output, its complaints on standard error.
const STREAM: &str = r#"import os, sys, fastvm
for event in fastvm.FastvmClient().vms.stream(sys.argv[1], command=sys.argv[2:]):
    if event.type == "o": os.write(1, event.data)
    elif event.type == "e": os.write(2, event.data)"#;

fn main() {
    let Some(cases) = Cases::of_command_line() else {
        return;
    };
    let bench = Bench::start();
    if cases.has("throughput") {
        bench.throughput();
    }
    if cases.has("latency") {
        bench.latency();
    }
    if cases.has("lines") {
        bench.lines();
    }
    if cases.has("many") {
        many();
    }
}

/// An engine with a VM, and the ways to run a command there.
struct Bench {
    // Before the home, which cannot be emptied while an engine serves.
    serving: Serving,
    home: Home,
    id: String,
    python: Option<String>,
    rounds: usize,
}

/// One way.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Local,
    Served,
    Sdk,
}

impl Bench {
    fn start() -> Self {
        let home = Home::new();
        let serving = Serving::start(&home);
        let id = home.ok(&["--local", "launch", "-n", "dev", "-o", "id"]);
        let python = std::env::var("FASTVM_TEST_PYTHON").ok();
        if python.is_none() {
            println!("not installed: the official SDK (FASTVM_TEST_PYTHON)");
        }
        let rounds = std::env::var("FASTVM_BENCH_ROUNDS");
        Self {
            home,
            serving,
            id,
            python,
            rounds: rounds.map_or(3, |rounds| rounds.parse().unwrap()),
        }
    }

    fn ways(&self) -> Vec<Way> {
        let mut ways = vec![Way::Local, Way::Served];
        ways.extend(self.python.as_ref().map(|_| Way::Sdk));
        ways
    }

    /// The command that runs a command.
    fn argv(&self, way: Way, command: &[&str]) -> Vec<String> {
        let fastvm = common::FASTVM;
        let start = match way {
            Way::Local => vec![fastvm, "--local", "exec", &self.id, "--"],
            Way::Served => vec![fastvm, "exec", &self.id, "--"],
            Way::Sdk => vec![self.python.as_deref().unwrap(), "-c", STREAM, &self.id],
        };
        let words = start.iter().chain(command);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn command(&self, argv: &[String]) -> Command {
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .env("HOME", self.home.path())
            .env("FASTVM_LOCAL_DIR", self.home.join("local"))
            .env("FASTVM_BASE_URL", &self.serving.url)
            .env("FASTVM_API_KEY", &self.serving.key)
            .stdin(Stdio::null());
        if argv.iter().any(|word| word == "--local") {
            command
                .env_remove("FASTVM_BASE_URL")
                .env_remove("FASTVM_API_KEY");
        }
        command
    }

    /// A GiB of random bytes.
    fn throughput(&self) {
        let fill = format!("head -c {BYTES} /dev/urandom > /root/random; sha256sum < /root/random");
        let sum = self.home.ok(&["--local", "exec", "dev", &fill])[..64].to_owned();
        let ways = self.ways();
        for way in &ways {
            let argv = self.argv(*way, &["cat", "/root/random"]);
            let mut child = self.command(&argv).stdout(Stdio::piped()).spawn().unwrap();
            let output = child.stdout.take().unwrap();
            let ours = Command::new("sha256sum").stdin(output).output().unwrap();
            assert!(child.wait().unwrap().success() && ours.stdout.starts_with(sum.as_bytes()));
        }
        let mut costs = vec![Vec::new(); ways.len()];
        for _ in 0..self.rounds {
            for (way, costs) in ways.iter().zip(&mut costs) {
                costs.push(self.measure(&self.argv(*way, &["cat", "/root/random"])));
            }
        }
        self.home.ok(&["--local", "exec", "dev", "rm /root/random"]);
        println!(
            "\n| 1 GiB of random output | MB/s, median | best | peak MiB of the client | its CPU s |"
        );
        println!("| --- | --- | --- | --- | --- |");
        for (way, costs) in ways.iter().zip(&mut costs) {
            costs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
            let rate = |cost: &Cost| BYTES as f64 / 1e6 / cost.seconds;
            let (median, best) = (&costs[costs.len() / 2], &costs[0]);
            println!(
                "| {} | {:.0} | {:.0} | {} | {:.2} |",
                way.name(),
                rate(median),
                rate(best),
                costs.iter().map(|cost| cost.peak).max().unwrap() / 1024,
                median.cpu
            );
        }
    }

    /// From the moment when a command says what time it is to the moment when that is here.
    fn latency(&self) {
        let ways = self.ways();
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..SHORT_ROUNDS {
            for (way, times) in ways.iter().zip(&mut times) {
                // It starts and then waits, so that no start counts.
                let argv = self.argv(*way, &["sh", "-c", "sleep 0.05; date +%s%N; sleep 0.05"]);
                let mut child = self.command(&argv).stdout(Stdio::piped()).spawn().unwrap();
                let mut line = String::new();
                BufReader::new(child.stdout.as_mut().unwrap())
                    .read_line(&mut line)
                    .unwrap();
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_nanos();
                let said: u128 = line.trim().parse().unwrap();
                times.push((now - said) as f64 / 1e6);
                assert!(child.wait().unwrap().success());
            }
        }
        println!("\n| first byte after it was made | median ms | p95 ms |\n| --- | --- | --- |");
        for (way, times) in ways.iter().zip(&mut times) {
            let (median, p95) = (quantile(times, 50), quantile(times, 95));
            println!("| {} | {median:.2} | {p95:.2} |", way.name());
        }
    }

    /// Many small writes: how long they take the command itself.
    fn lines(&self) {
        let quiet = format!("python3 -c '{PRINT}' > /dev/null");
        let piped = format!("python3 -c '{PRINT}' | cat > /dev/null");
        let mut cases = vec![
            (
                "to /dev/null in the VM",
                Way::Local,
                vec!["sh", "-c", &quiet],
            ),
            ("to cat in the VM", Way::Local, vec!["sh", "-c", &piped]),
        ];
        let ways = self.ways();
        cases.extend(
            ways.iter()
                .map(|way| (way.name(), *way, vec!["python3", "-c", PRINT])),
        );
        let mut times = vec![Vec::new(); cases.len()];
        for _ in 0..=self.rounds * 3 {
            for ((_, way, command), times) in cases.iter().zip(&mut times) {
                let argv = self.argv(*way, command);
                let output = self.command(&argv).stderr(Stdio::piped()).output().unwrap();
                let took = String::from_utf8(output.stderr).unwrap();
                times.push(took.trim().parse::<f64>().unwrap());
                let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
                assert!([0, LINES].contains(&lines));
            }
        }
        println!(
            "\n| {LINES} lines, a write each | median s | lines a second |\n| --- | --- | --- |"
        );
        for ((name, ..), times) in cases.iter().zip(&mut times) {
            let median = quantile(times, 50);
            println!("| {name} | {median:.3} | {:.0} |", LINES as f64 / median);
        }
    }

    fn measure(&self, argv: &[String]) -> Cost {
        measured(|time| {
            let mut command = self.command(&[time, argv.to_vec()].concat());
            command.stdout(Stdio::null());
            command
        })
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "fastvm --local exec",
            Self::Served => "fastvm exec, local serve",
            Self::Sdk => "official SDK 0.7.0, vms.stream",
        }
    }
}

/// What a process needed.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Peak memory, in KiB.
    peak: u64,
    cpu: f64,
}

/// Runs a command below `time`, whose words the command is made of.
fn measured(command: impl FnOnce(Vec<String>) -> Command) -> Cost {
    let report = tempfile::NamedTempFile::new().unwrap();
    let path = report.path().to_str().unwrap().to_owned();
    let words = ["/usr/bin/time", "-f", "%M %U %S", "-o", &path];
    let start = Instant::now();
    let output = command(words.map(str::to_owned).to_vec()).output().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(&path).unwrap();
    let numbers: Vec<f64> = text
        .lines()
        .last()
        .unwrap()
        .split(' ')
        .map(|word| word.parse().unwrap())
        .collect();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Cost {
        seconds,
        peak: numbers[0] as u64,
        cpu: numbers[1] + numbers[2],
    }
}

/// One command in very many VMs.
fn many() {
    let home = Home::new().set(
        "FASTVM_LOCAL_QUOTAS",
        "vcpu=1000,memoryMiB=1000000,diskGiB=10000",
    );
    let start = Instant::now();
    home.ok(&[
        "--local",
        "vm",
        "launch",
        "--count",
        &VMS.to_string(),
        "-n",
        "m-{n}",
        "-o",
        "id",
    ]);
    println!(
        "\n{VMS} VMs launched in {:.2} s",
        start.elapsed().as_secs_f64()
    );
    let ten = "i=0; while [ $i -lt 10 ]; do echo line $i; i=$((i+1)); done";
    println!("\n| 10 lines from {VMS} VMs | s | peak MiB |\n| --- | --- | --- |");
    for parallel in ["16", "64", "200"] {
        let cost = measured(|time| {
            let plain = home.command(&["--local", "exec", "--all", "--parallel", parallel, ten]);
            let mut timed = Command::new(&time[0]);
            timed
                .args(&time[1..])
                .arg(plain.get_program())
                .args(plain.get_args());
            timed.envs(
                plain
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            timed
        });
        println!(
            "| --parallel {parallel} | {:.2} | {} |",
            cost.seconds,
            cost.peak / 1024
        );
    }
    labelled(&home, ten);
    folded(&home, ten);
    stopped(&home);
}

/// Every line is whole, has its VM, and is in its order.
fn labelled(home: &Home, ten: &str) {
    let lines = home.run(&["--local", "exec", "--all", "--parallel", "64", ten]);
    assert_eq!(lines.code, 0, "{}", lines.stderr);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines.stdout.lines() {
        let (name, text) = line.split_once(" | ").unwrap();
        let next = seen.entry(name.trim()).or_default();
        assert_eq!(text, format!("line {next}"));
        *next += 1;
    }
    assert!(seen.len() == VMS && seen.values().all(|count| *count == 10));
    let events = home.run(&["--local", "-o", "jsonl", "exec", "--all", ten]);
    let exits = events.stdout.lines().filter(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["vm"].is_string() && event["vmId"].is_string());
        event["t"] == "x"
    });
    assert_eq!(exits.count(), VMS);
}

/// Equal outputs are one, and different ends are 9.
fn folded(home: &Home, ten: &str) {
    let grouped = home.run(&["--local", "exec", "--group", "--all", ten]);
    assert!(grouped.code == 0 && grouped.stdout.contains(&format!("({VMS})\n")));
    assert_eq!(grouped.stdout.lines().count(), 11);
    let some = "case $(hostname) in *7) exit 3;; esac";
    let mixed = home.run(&["--local", "exec", "--all", some]);
    assert!(
        mixed.code == 9
            && mixed
                .stderr
                .contains(&format!("{} of {VMS}", VMS - VMS / 10))
    );
}

/// What ends early ends everywhere.
fn stopped(home: &Home) {
    let start = Instant::now();
    let fails = "case $(hostname) in m-77) exit 3;; esac; exec sleep 4321";
    let failed = home.run(&[
        "--local",
        "exec",
        "--fail-fast",
        "--all",
        "--parallel",
        "200",
        fails,
    ]);
    println!(
        "\n--fail-fast ended {VMS} in {:.2} s, exit {}",
        start.elapsed().as_secs_f64(),
        failed.code
    );
    nothing_sleeps(home);
    let mut child = home
        .command(&[
            "--local",
            "exec",
            "--all",
            "--parallel",
            "200",
            "echo up; exec sleep 4321",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_lines(child.stdout.as_mut().unwrap(), VMS);
    let start = Instant::now();
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let ended = child.wait_with_output().unwrap();
    println!(
        "Ctrl-C ended {VMS} in {:.2} s, exit {}",
        start.elapsed().as_secs_f64(),
        ended.status.code().unwrap()
    );
    assert_eq!(
        ended.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    nothing_sleeps(home);
}

fn nothing_sleeps(home: &Home) {
    let looks = home.run(&[
        "--local",
        "exec",
        "--all",
        "--parallel",
        "64",
        "! cat /proc/[0-9]*/comm | grep -qx sleep",
    ]);
    assert_eq!(looks.code, 0, "{}", looks.stderr);
}

fn wait_for_lines(pipe: &mut ChildStdout, count: usize) {
    let mut seen = 0;
    let mut buffer = [0; 4096];
    while seen < count {
        let length = pipe.read(&mut buffer).unwrap();
        assert!(length > 0, "only {seen} lines came");
        seen += buffer[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
    }
}

fn quantile(numbers: &mut [f64], percent: usize) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() * percent / 100).min(numbers.len() - 1)]
}
