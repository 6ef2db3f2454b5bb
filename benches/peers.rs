//! Whole commands against their peers, interleaved in one run, as ratios of medians.
//!
//! `cargo bench --bench peers`. Peers that are not installed are left out and named. The official CLI is looked for
//! beside the interpreter in `FASTVM_TEST_PYTHON`, else on the path as `fastvm`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

#[expect(dead_code, unused_imports, reason = "tests need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Home, Serving};

const KEY: &str = "bench-key";
const ROUNDS: usize = 40;

/// One thing that is timed: a name, and what it does once.
struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
}

fn main() {
    // `cargo test --benches` starts it too; only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let home = Home::new();
    let serving = Serving::start_with_key(&home, KEY);
    start_up(&home);
    list(&home, &serving);
    life_cycle(&home);
}

/// `--version` against the official CLI.
fn start_up(home: &Home) {
    let mut contenders = vec![contender("fastvm --version", || {
        quiet(home.command(&["--version"]));
    })];
    match official() {
        Some(official) => contenders.push(contender("official CLI 0.7.0 --version", move || {
            quiet({
                let mut command = Command::new(&official);
                command.arg("--version");
                command
            });
        })),
        None => println!("not installed: the official CLI (FASTVM_TEST_PYTHON)"),
    }
    compare("start", &mut contenders);
}

/// `vm list` over loopback HTTP against curl.
fn list(home: &Home, serving: &Serving) {
    for index in 0..20 {
        home.ok(&["--local", "launch", "--quiet", "-n", &format!("vm-{index}")]);
    }
    let list = || {
        let mut command = home.command(&["vm", "list", "--json"]);
        command
            .env("FASTVM_BASE_URL", &serving.url)
            .env("FASTVM_API_KEY", KEY);
        quiet(command);
    };
    let url = format!("{}/v1/vms", serving.url);
    let curl = move || {
        let mut command = Command::new("curl");
        command.args(["-sf", "-H", "X-API-Key: bench-key", &url]);
        quiet(command);
    };
    compare(
        "list of 20 VMs, loopback",
        &mut [
            contender("curl", curl),
            contender("fastvm vm list --json", list),
        ],
    );
}

/// A VM's whole life against a sandbox and a container that run one command.
fn life_cycle(home: &Home) {
    let mut contenders = vec![
        contender("bwrap, all namespaces, true", || {
            let mut command = Command::new("bwrap");
            command.args([
                "--unshare-all",
                "--ro-bind",
                "/",
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "true",
            ]);
            quiet(command);
        }),
        contender("fastvm --local exec, VM running", || {
            quiet(home.command(&["--local", "exec", "vm-0", "--", "true", "x"]));
        }),
        contender("fastvm --local run true", || {
            quiet(home.command(&["--local", "run", "true"]));
        }),
        contender("fastvm --local launch + exec + rm", || {
            quiet(home.command(&["--local", "launch", "--quiet", "-n", "once"]));
            quiet(home.command(&["--local", "exec", "once", "true"]));
            quiet(home.command(&["--local", "rm", "once", "--yes", "--quiet"]));
        }),
    ];
    let root = busybox_root(home);
    let podman = move || {
        let mut command = Command::new("podman");
        command.args(["run", "--rm", "--network", "none", "--cgroups=disabled"]);
        command.args([
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1000:1000",
        ]);
        command
            .arg("--rootfs")
            .arg(&root)
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    if podman().status().is_ok_and(|status| status.success()) {
        contenders.push(contender(
            "podman run --rm --rootfs, no network, true",
            move || quiet(podman()),
        ));
    } else {
        println!("does not run here: podman with a static busybox");
    }
    compare("one command in a fresh VM", &mut contenders);
}

fn contender<'a>(name: &str, run: impl FnMut() + 'a) -> Contender<'a> {
    Contender {
        name: name.to_owned(),
        run: Box::new(run),
    }
}

/// Times all contenders in turn, round after round, and prints medians and their ratio to the first.
fn compare(what: &str, contenders: &mut [Contender<'_>]) {
    let mut times: Vec<Vec<Duration>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (contender.run)();
            // The first round warms the caches.
            if round > 0 {
                times.push(start.elapsed());
            }
        }
    }
    println!("\n| {what} | median ms | p95 ms | ratio |\n| --- | --- | --- | --- |");
    let first = median(&mut times[0]);
    for (contender, times) in contenders.iter().zip(&mut times) {
        let median = median(times);
        let p95 = times[times.len() * 95 / 100];
        println!(
            "| {} | {:.1} | {:.1} | {:.2} |",
            contender.name,
            median.as_secs_f64() * 1e3,
            p95.as_secs_f64() * 1e3,
            median.as_secs_f64() / first.as_secs_f64()
        );
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn quiet(mut command: Command) {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// A root file system of one static program, for podman. It stays empty where there is no busybox.
fn busybox_root(home: &Home) -> PathBuf {
    let root = home.join("busybox-root");
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let _ = std::fs::copy("/bin/busybox", root.join("bin/true"));
    root
}

fn official() -> Option<PathBuf> {
    let beside = std::env::var_os("FASTVM_TEST_PYTHON")
        .map(|python| PathBuf::from(python).with_file_name("fastvm"));
    let path = beside.unwrap_or_else(|| PathBuf::from("fastvm"));
    Command::new(&path)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
        .then_some(path)
}
