//! Copies of a folder over slow links, end to end (unpacked in the VM, or here), against their peers and against the time that the
//! wire alone takes for what we send.
//!
//! `cargo bench --bench links [-- 10 100 1000]` chooses megabits a second, each with and without 80 ms of round trip. The
//! official SDK is run by the interpreter in `FASTVM_TEST_PYTHON`, and left out without one.
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

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cases::Cases;
use common::{FASTVM, FaultProxy, Home, Link, Served};

/// Megabits a second, and how many bytes of files are enough for some seconds of them.
const LINKS: [(u64, u64); 3] = [(10, 20_000_000), (100, 100_000_000), (1000, 200_000_000)];
const ROUND_TRIPS: [u64; 2] = [0, 80];

const PRESIGN: &str = r#"urls=$(curl -sf -H "X-API-Key: $FASTVM_API_KEY" -H 'Content-Type: application/json' -d '{"path":"/tmp/bench"}' "$FASTVM_BASE_URL/v1/vms/$ID/files/presign"); UP=${urls#*\"uploadUrl\":\"}; UP=${UP%%\"*}; DOWN=${urls#*\"downloadUrl\":\"}; DOWN=${DOWN%%\"*}; "#;
const TAR_UP: &str = r#"tar c -C "$TREE" . | zstd -q -1 -T0 | curl -sf -T - -H 'Content-Type: application/octet-stream' "$UP"; "$FASTVM" exec dev -- sh -c 'mkdir /root/copy; curl -s "$1" | zstd -dc | tar x -C /root/copy' sh "$DOWN""#;
const TAR_DOWN: &str = r#""$FASTVM" exec dev -- sh -c 'tar c -C /root/from . | zstd -q -1 -T0 | curl -sf -T - -H "Content-Type: application/octet-stream" "$1"' sh "$UP"; mkdir "$HOME/copy"; curl -sf "$DOWN" | zstd -dc | tar x -C "$HOME/copy""#;
const SDK_UP: &str = "import os, fastvm\nfastvm.FastvmClient().upload(os.environ['ID'], os.environ['TREE'], '/root/copy')";
const SDK_DOWN: &str = "import os, fastvm\nfastvm.FastvmClient().download(os.environ['ID'], '/root/from', os.environ['HOME'] + '/copy')";

fn main() {
    let Some(cases) = Cases::of_command_line() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start();
    println!("| link | direction | wire alone s | fastvm cp | tar, zstd, curl | official SDK |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (megabits, bytes) in LINKS {
        if !cases.has(&megabits.to_string()) {
            continue;
        }
        let tree = trees::mixed(folder.path(), bytes);
        for round_trip in ROUND_TRIPS {
            let link = Link {
                latency: Duration::from_millis(round_trip / 2),
                rate: Some(megabits * 125_000),
                slice: None,
            };
            let name = format!("{megabits} Mbit/s, {round_trip} ms");
            up(&served, link, &name, &tree);
            down(&served, link, &name, &tree);
        }
    }
}

/// Each contender once, and a line of what it took as multiples of the wire's own time.
fn up(served: &Served, link: Link, name: &str, tree: &Path) {
    let proxy = FaultProxy::with_storage(served.url(), link, "uploadUrl");
    let way = Way {
        served,
        proxy,
        tree,
        link,
    };
    let forget = || drop(served.sh("rm -rf /root/copy"));
    let (wire, ours) = way.ours(&[tree.to_str().unwrap(), "dev:/root/copy"]);
    forget();
    let tar = way.shell(TAR_UP);
    forget();
    let sdk = way.python(SDK_UP);
    forget();
    line(name, "up", wire, ours, tar, sdk);
}

fn down(served: &Served, link: Link, name: &str, tree: &Path) {
    served
        .client()
        .ok(&["cp", "--quiet", tree.to_str().unwrap(), "dev:/root/from"]);
    let proxy = FaultProxy::with_storage(served.url(), link, "downloadUrl");
    let way = Way {
        served,
        proxy,
        tree,
        link,
    };
    let (wire, ours) = way.ours(&["dev:/root/from", "copy"]);
    let tar = way.shell(TAR_DOWN);
    let sdk = way.python(SDK_DOWN);
    served.sh("rm -rf /root/from");
    line(name, "down", wire, ours, tar, sdk);
}

fn line(name: &str, direction: &str, wire: f64, ours: f64, tar: f64, sdk: Option<f64>) {
    let times = |seconds: f64| format!("{:.2}", seconds / wire);
    let sdk = sdk.map_or("-".to_owned(), times);
    println!(
        "| {name} | {direction} | {wire:.2} | {} | {} | {sdk} |",
        times(ours),
        times(tar)
    );
}

/// A link, and what is copied over it.
struct Way<'a> {
    served: &'a Served,
    proxy: FaultProxy,
    tree: &'a Path,
    link: Link,
}

impl Way<'_> {
    /// The seconds that the link alone needs for what we send, and those that we took.
    fn ours(&self, paths: &[&str]) -> (f64, f64) {
        let home = self.home();
        rustix::fs::sync();
        let start = Instant::now();
        let sent = home.ok(&[&["cp", "-q", ".wireBytes"], paths].concat());
        let seconds = start.elapsed().as_secs_f64();
        let bytes: f64 = sent.parse().unwrap();
        let rate = self.link.rate.unwrap() as f64;
        (
            bytes / rate + 2.0 * self.link.latency.as_secs_f64(),
            seconds,
        )
    }

    fn shell(&self, script: &str) -> f64 {
        self.timed(Command::new("sh").args(["-ec", &format!("{PRESIGN}{script}")]))
    }

    fn python(&self, script: &str) -> Option<f64> {
        let python = std::env::var("FASTVM_TEST_PYTHON").ok()?;
        Some(self.timed(Command::new(python).args(["-c", script])))
    }

    fn timed(&self, command: &mut Command) -> f64 {
        let home = self.home();
        let id = self.served.client().ok(&["vm", "get", "dev", "-o", "id"]);
        for (name, value) in home.command(&[]).get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
            .envs([("FASTVM", FASTVM), ("ID", &id)])
            .env("TREE", self.tree);
        rustix::fs::sync();
        let start = Instant::now();
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        start.elapsed().as_secs_f64()
    }

    fn home(&self) -> Home {
        Home::with_server(&self.proxy.url())
    }
}
