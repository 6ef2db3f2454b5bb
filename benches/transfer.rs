//! Copies against their peers, interleaved in one run, as ratios of medians, with the peak memory of each client.
//!
//! `cargo bench --bench transfer [-- mixed pack small sync big tiny]`; `FASTVM_BENCH_ROUNDS` sets the rounds (3). All clients speak
//! HTTP to one engine of this build. The official SDK is run by the interpreter in `FASTVM_TEST_PYTHON`, and left out
//! without one; `FASTVM_BENCH_OTHER` is the path of a second build to compare with. The mixed tree is cut from the Rust toolchain: libraries, programs and documentation.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

mod cases;
#[expect(dead_code, unused_imports, reason = "tests need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;
mod trees;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cases::Cases;
use common::scripted::{json, stream};
use common::{FASTVM, FaultProxy, Front, Home, Link, Say, Serving};

const KEY: &str = "bench-key";
const VM: &str = "bench";
const MIXED_BYTES: u64 = 200_000_000;
const PACKED_BYTES: u64 = 650_000_000;
const SMALL_FILES: usize = 20_000;
const BIG_BYTES: u64 = 1 << 30;
/// Runs of a small copy, which is too short to be timed thrice.
const TINY_ROUNDS: usize = 30;
/// Shell that gets the URLs of a staging object.
const PRESIGN: &str = r#"urls=$(curl -sf -H "X-API-Key: $FASTVM_API_KEY" -H 'Content-Type: application/json' -d '{"path":"/tmp/bench"}' "$FASTVM_BASE_URL/v1/vms/$ID/files/presign"); UP=${urls#*\"uploadUrl\":\"}; UP=${UP%%\"*}; DOWN=${urls#*\"downloadUrl\":\"}; DOWN=${DOWN%%\"*}; "#;
/// A command that went well, as one answer and as a stream.
const DONE: &str = r#"{"exitCode":0,"stdout":"done","stderr":"","timedOut":false,"stdoutTruncated":false,"stderrTruncated":false,"durationMs":1}"#;
const DONE_STREAMED: &str = "{\"t\":\"o\",\"d\":\"ZG9uZQ==\"}\n{\"t\":\"x\",\"c\":0}\n";

fn main() {
    let Some(cases) = Cases::of_command_line() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(Home::new());
    if cases.has("mixed") {
        let tree = trees::mixed(folder.path(), MIXED_BYTES);
        bench.folder("mixed tree, 200 MB", &tree);
    }
    if cases.has("pack") {
        let tar = "tar c -C \"$SOURCE\" . | zstd -q -1 -T0 | ";
        let tree = trees::mixed(folder.path(), PACKED_BYTES);
        bench.sent("mixed tree, 650 MB", &tree, (tar, "-"));
        bench.sent("20,000 files of 3.3 KB", &small(folder.path()), (tar, "-"));
        let file = big(folder.path());
        bench.sent("1 GiB of random bytes", &file, ("", "\"$SOURCE\""));
    }
    if cases.has("small") {
        let tree = small(folder.path());
        bench.folder("20,000 files of 3.3 KB", &tree);
    }
    if cases.has("sync") {
        let tree = small(folder.path());
        bench.unchanged(&tree);
    }
    if cases.has("big") {
        bench.file("1 GiB file, random", &big(folder.path()));
    }
    if cases.has("tiny") {
        bench.tiny();
    }
}

/// Shell that puts a file into a staging object.
fn put(file: &str) -> String {
    format!("curl -sf -T {file} -H 'Content-Type: application/octet-stream' \"$UP\"")
}

/// Files of words, 100 in a folder, none the same.
fn small(home: &Path) -> PathBuf {
    let tree = home.join("small");
    let mut state = 1_u64;
    for index in 0..SMALL_FILES {
        let folder = tree.join(format!("package-{}", index / 100));
        fs::create_dir_all(&folder).unwrap();
        let mut text = String::new();
        while text.len() < 3300 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(&format!(
                "let value_{} = compute({});\n",
                state >> 54,
                (state >> 40) % 100
            ));
        }
        fs::write(folder.join(format!("module-{index}.rs")), text).unwrap();
    }
    tree
}

fn big(home: &Path) -> PathBuf {
    let path = home.join("big");
    let mut random = fs::File::open("/dev/urandom").unwrap().take(BIG_BYTES);
    std::io::copy(&mut random, &mut fs::File::create(&path).unwrap()).unwrap();
    path
}

/// What one contender needed.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Peak memory of its largest process, in KiB.
    peak: u64,
}

struct Contender<'a> {
    name: String,
    run: Box<dyn Fn() -> Cost + 'a>,
    /// Undoes what it did, outside the measurement.
    undo: Box<dyn Fn() + 'a>,
}

/// An engine with one VM.
struct Bench {
    serving: Serving,
    /// Goes after what is served from it.
    home: Home,
    id: String,
    python: Option<String>,
    other: Option<String>,
    rounds: usize,
}

impl Bench {
    fn start(home: Home) -> Self {
        let python = std::env::var("FASTVM_TEST_PYTHON").ok();
        if python.is_none() {
            println!("not installed: the official SDK (FASTVM_TEST_PYTHON)");
        }
        let rounds = std::env::var("FASTVM_BENCH_ROUNDS");
        let id = home.ok(&["--local", "vm", "launch", "-n", VM, "-o", "id"]);
        Self {
            serving: Serving::start_with_key(&home, KEY),
            home,
            id,
            python,
            other: std::env::var("FASTVM_BENCH_OTHER").ok(),
            rounds: rounds.map_or(3, |rounds| rounds.parse().unwrap()),
        }
    }

    /// A folder up and down.
    fn folder(&self, what: &str, tree: &Path) {
        let tree = tree.to_str().unwrap();
        let forget = "\"$FASTVM\" exec \"$VM\" -- rm -rf /root/copy";
        let unpack = "\"$FASTVM\" exec \"$VM\" -- sh -c 'mkdir /root/copy; curl -s \"$1\" | zstd -dc | tar x -C /root/copy' sh \"$DOWN\"";
        let tar_up = format!("{PRESIGN}tar c -C {tree} . | zstd -q -1 -T0 | {}", put("-"));
        let mut up = self.ours(
            format!("\"$FASTVM\" cp --quiet {tree} $VM:/root/copy"),
            forget,
        );
        up.extend([self.contender(
            "tar | zstd -1 -T0 | curl, then curl | zstd | tar in the VM",
            format!("{tar_up} && {unpack}"),
            forget,
        )]);
        up.extend(self.official(
            &format!("client.upload(vm, {tree:?}, '/root/copy')"),
            forget,
        ));
        compare(&format!("{what}, into a VM"), &up, self.rounds);

        self.sh(&format!("\"$FASTVM\" cp --quiet {tree} $VM:/root/from"));
        let forget = "rm -rf \"$HOME/copy\"";
        let tar_down = format!(
            "{PRESIGN}\"$FASTVM\" exec \"$VM\" -- sh -c 'tar c -C /root/from . | zstd -q -1 -T0 | curl -sf -T - -H \"Content-Type: application/octet-stream\" \"$1\"' sh \"$UP\"; mkdir \"$HOME/copy\"; curl -sf \"$DOWN\" | zstd -dc | tar x -C \"$HOME/copy\""
        );
        let mut down = self.ours(
            "\"$FASTVM\" cp --quiet $VM:/root/from \"$HOME/copy\"".to_owned(),
            forget,
        );
        down.extend([self.contender(
            "tar | zstd -1 -T0 | curl in the VM, then curl | zstd | tar",
            tar_down,
            forget,
        )]);
        down.extend(self.official(
            &format!(
                "client.download(vm, '/root/from', {:?})",
                self.home.join("copy")
            ),
            forget,
        ));
        compare(&format!("{what}, out of a VM"), &down, self.rounds);
        self.sh("\"$FASTVM\" exec \"$VM\" -- rm -rf /root/from");
    }

    /// A copy as far as the storage: what would have the VM get and unpack something is answered in its place, at once. `straight`
    /// is the shell before a `curl -T`, and what that sends.
    fn sent(&self, what: &str, source: &Path, straight: (&str, &str)) {
        let front = Front::new(&self.serving.url, "none", |asked| {
            let takes_in = ["# put_tree", "# put_range", "# finish_file", "tar xzf"];
            if asked.line.ends_with("/files/fetch") {
                Say::Answer(json("200 OK", DONE))
            } else if !takes_in.iter().any(|word| asked.body.contains(word)) {
                Say::Pass
            } else if asked.head.contains("x-ndjson") {
                Say::Answer(stream(DONE_STREAMED))
            } else {
                Say::Answer(json("200 OK", DONE))
            }
        });
        let (source, url) = (source.to_str().unwrap(), front.url());
        let forget = "\"$FASTVM\" exec \"$VM\" -- sh -c 'rm -rf /root/copy /root/.fastvm-*'";
        let mut ways = self.ours(
            format!("export FASTVM_BASE_URL={url}; \"$FASTVM\" cp --quiet {source} $VM:/root/copy"),
            forget,
        );
        let (before, sends) = straight;
        ways.push(self.contender(
            &format!("{before}curl -T"),
            format!("{PRESIGN}SOURCE={source}; {before}{}", put(sends)),
            "true",
        ));
        ways.extend(self.official(
            &format!(
                "client = fastvm.FastvmClient(base_url={url:?})\nclient.upload(vm, {source:?}, '/root/copy')"
            ),
            "true",
        ));
        compare(
            &format!("{what}, as far as the storage"),
            &ways,
            self.rounds,
        );
    }

    /// What is the same at both ends already.
    fn unchanged(&self, tree: &Path) {
        let tree = tree.to_str().unwrap();
        self.sh(&format!(
            "\"$FASTVM\" cp --quiet {tree} $VM:/root/same; cp -a {tree} \"$HOME/same\""
        ));
        let mut contenders = vec![
            self.contender(
                "fastvm cp --sync, into a VM",
                format!("\"$FASTVM\" cp --quiet --sync {tree} $VM:/root/same"),
                "true",
            ),
            self.contender(
                "fastvm cp --sync, out of a VM",
                "\"$FASTVM\" cp --quiet --sync $VM:/root/same \"$HOME/same\"".to_owned(),
                "true",
            ),
            self.contender(
                "fastvm exec true",
                "\"$FASTVM\" exec \"$VM\" true".to_owned(),
                "true",
            ),
        ];
        if Command::new("rsync").arg("--version").output().is_ok() {
            let rsync = format!("rsync -a --delete {tree}/ \"$HOME/same/\"");
            contenders.push(self.contender("rsync -a --delete, here to here", rsync, "true"));
        }
        compare(
            "20,000 files that have not changed",
            &contenders,
            self.rounds,
        );
        self.sh("\"$FASTVM\" exec \"$VM\" -- rm -rf /root/same; rm -rf \"$HOME/same\"");
    }

    /// A file up and down.
    fn file(&self, what: &str, file: &Path) {
        let path = file.to_str().unwrap();
        let forget = "\"$FASTVM\" exec \"$VM\" -- rm -f /root/file";
        let put = format!("{PRESIGN}{}", put(path));
        let mut up = self.ours(
            format!("\"$FASTVM\" cp --quiet {path} $VM:/root/file"),
            forget,
        );
        up.extend([self.contender(
            "curl -T, then curl in the VM",
            format!("{put} && \"$FASTVM\" exec \"$VM\" -- curl -so /root/file \"$DOWN\""),
            forget,
        )]);
        up.extend(self.official(
            &format!("client.upload(vm, {path:?}, '/root/file')"),
            forget,
        ));
        compare(&format!("{what}, into a VM"), &up, self.rounds);

        self.sh(&format!("\"$FASTVM\" cp --quiet {path} $VM:/root/from"));
        let forget = "rm -f \"$HOME/copy\"";
        let get = format!(
            "{PRESIGN}\"$FASTVM\" exec \"$VM\" -- curl -sf -T /root/from -H 'Content-Type: application/octet-stream' \"$UP\" && curl -sfo \"$HOME/copy\" \"$DOWN\""
        );
        let mut down = self.ours(
            "\"$FASTVM\" cp --quiet $VM:/root/from \"$HOME/copy\"".to_owned(),
            forget,
        );
        down.extend([self.contender("curl -T in the VM, then curl", get, forget)]);
        down.extend(self.official(
            &format!(
                "client.download(vm, '/root/from', {:?})",
                self.home.join("copy")
            ),
            forget,
        ));
        compare(&format!("{what}, out of a VM"), &down, self.rounds);
        self.sh("\"$FASTVM\" exec \"$VM\" -- rm -f /root/from");
    }

    /// What is so small that only the requests count.
    /// A small file, near and a little away.
    fn tiny(&self) {
        fs::write(self.home.join("tiny"), "x".repeat(1000)).unwrap();
        self.tiny_at("a file of 1000 bytes", &self.serving.url);
        let link = Link {
            latency: Duration::from_millis(10),
            rate: None,
            slice: None,
        };
        let away = FaultProxy::with_storage(&self.serving.url, link, "uploadUrl");
        self.tiny_at("a file of 1000 bytes, 20 ms of round trip", &away.url());
    }

    fn tiny_at(&self, what: &str, url: &str) {
        let ours = |name: &str, words: &str| {
            let script = format!("export FASTVM_BASE_URL={url}; \"$FASTVM\" {words}");
            self.contender(name, script, "true")
        };
        let mut contenders = vec![
            ours("fastvm exec true", "exec \"$VM\" -- true x"),
            ours("fastvm cp, in", "cp --quiet \"$HOME/tiny\" $VM:/root/tiny"),
            ours("fastvm cp, out", "cp --quiet $VM:/root/tiny \"$HOME/copy\""),
        ];
        let tiny = self.home.join("tiny");
        let upload = format!(
            "client = fastvm.FastvmClient(base_url={url:?})\nclient.upload(vm, {tiny:?}, '/root/tiny')"
        );
        contenders.extend(self.official(&upload, "true"));
        compare(what, &contenders, TINY_ROUNDS);
    }

    /// Our copy, and that of another build if there is one.
    fn ours<'a>(&'a self, script: String, undo: &'a str) -> Vec<Contender<'a>> {
        let other = self.other.as_ref().map(|other| {
            let script = script.replacen("$FASTVM", other, 1);
            self.contender("fastvm cp of FASTVM_BENCH_OTHER", script, undo)
        });
        let mut contenders = vec![self.contender("fastvm cp", script, undo)];
        contenders.extend(other);
        contenders
    }

    fn contender<'a>(&'a self, name: &str, script: String, undo: &'a str) -> Contender<'a> {
        Contender {
            name: name.to_owned(),
            run: Box::new(move || self.measure(&["sh", "-ec", &script])),
            undo: Box::new(move || self.sh(undo)),
        }
    }

    /// The official SDK's way, in a process of its own as all others are.
    fn official<'a>(&'a self, call: &str, undo: &'a str) -> Option<Contender<'a>> {
        let python = self.python.clone()?;
        let script = format!(
            "import os, fastvm\nclient = fastvm.FastvmClient()\nvm = os.environ['ID']\n{call}\n"
        );
        Some(Contender {
            name: "official SDK 0.7.0".to_owned(),
            run: Box::new(move || self.measure(&[&python, "-c", &script])),
            undo: Box::new(move || self.sh(undo)),
        })
    }

    fn measure(&self, argv: &[&str]) -> Cost {
        let report = self.home.join("peak");
        let start = Instant::now();
        let status = self
            .command("/usr/bin/time")
            .args(["-f", "%M", "-o"])
            .arg(&report)
            .args(argv)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        let seconds = start.elapsed().as_secs_f64();
        assert!(status.success(), "{argv:?}: {status}");
        let peak = fs::read_to_string(report).unwrap().trim().parse().unwrap();
        Cost { seconds, peak }
    }

    fn sh(&self, script: &str) {
        let status = self.command("sh").args(["-ec", script]).status().unwrap();
        assert!(status.success(), "{script}: {status}");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.home.path())
            .env("FASTVM_BASE_URL", &self.serving.url)
            .env("FASTVM_API_KEY", KEY)
            .envs([("FASTVM", FASTVM), ("VM", VM), ("ID", &self.id)])
            .stdin(Stdio::null());
        command
    }
}

/// Runs all contenders in turn, round after round, and prints medians and their ratio to the first.
fn compare(what: &str, contenders: &[Contender<'_>], rounds: usize) {
    let mut costs: Vec<Vec<Cost>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        // Whoever comes after a large copy would meet a busy disk; what is left of that, each has its turn at.
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            costs[index].push((contenders[index].run)());
            (contenders[index].undo)();
            rustix::fs::sync();
        }
    }
    println!("\n| {what} | median s | ratio | peak MiB |\n| --- | --- | --- | --- |");
    let first = median(&mut costs[0]);
    for (contender, costs) in contenders.iter().zip(&mut costs) {
        let median = median(costs);
        println!(
            "| {} | {median:.3} | {:.2} | {} |",
            contender.name,
            median / first,
            costs.iter().map(|cost| cost.peak).max().unwrap_or(0) / 1024
        );
    }
}

fn median(costs: &mut [Cost]) -> f64 {
    costs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    costs[costs.len() / 2].seconds
}
