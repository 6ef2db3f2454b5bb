//! Whole commands against their peers, interleaved in one run, as ratios of medians.
//!
//! `cargo bench --bench peers`. Peers that are not installed are left out and named. The official CLI is looked for
//! beside the interpreter in `FASTVM_TEST_PYTHON`, else on the path as `fastvm`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FASTVM: &str = env!("CARGO_BIN_EXE_fastvm");
const ROUNDS: usize = 40;

/// One thing that is timed: a name, and what it does once.
struct Contender {
    name: String,
    run: Box<dyn FnMut()>,
}

fn main() {
    // `cargo test` builds and starts benches too; only `cargo bench` measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    let serving = Serving::start(&home);
    start_up(&home);
    list(&home, &serving);
    life_cycle(&home);
    command(&home, &["local", "reset", "--yes", "--quiet"])
        .status()
        .unwrap();
}

/// `--version` against the official CLI.
fn start_up(home: &Path) {
    let ours = home.to_owned();
    let mut contenders = vec![contender("fastvm --version", move || {
        quiet(command(&ours, &["--version"]));
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
fn list(home: &Path, serving: &Serving) {
    for index in 0..20 {
        command(
            home,
            &["--local", "launch", "--quiet", "-n", &format!("vm-{index}")],
        )
        .stdout(Stdio::null())
        .status()
        .unwrap();
    }
    let (ours, url) = (home.to_owned(), serving.url.clone());
    let list = move || {
        let mut command = command(&ours, &["vm", "list", "--json"]);
        command
            .env("FASTVM_BASE_URL", &url)
            .env("FASTVM_API_KEY", "bench-key");
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
fn life_cycle(home: &Path) {
    let (whole, run, exec) = (home.to_owned(), home.to_owned(), home.to_owned());
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
        contender("fastvm --local exec, VM running", move || {
            quiet(command(
                &exec,
                &["--local", "exec", "vm-0", "--", "true", "x"],
            ));
        }),
        contender("fastvm --local run true", move || {
            quiet(command(&run, &["--local", "run", "true"]));
        }),
        contender("fastvm --local launch + exec + rm", move || {
            quiet(command(
                &whole,
                &["--local", "launch", "--quiet", "-n", "once"],
            ));
            quiet(command(&whole, &["--local", "exec", "once", "true"]));
            quiet(command(
                &whole,
                &["--local", "rm", "once", "--yes", "--quiet"],
            ));
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

fn contender(name: &str, run: impl FnMut() + 'static) -> Contender {
    Contender {
        name: name.to_owned(),
        run: Box::new(run),
    }
}

/// Times all contenders in turn, round after round, and prints medians and their ratio to the first.
fn compare(what: &str, contenders: &mut [Contender]) {
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

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(FASTVM);
    command
        .args(arguments)
        .env("HOME", home)
        .env("FASTVM_LOCAL_DIR", home.join("local"));
    command
        .env_remove("FASTVM_API_KEY")
        .env_remove("FASTVM_BASE_URL")
        .stdin(Stdio::null());
    command
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
fn busybox_root(home: &Path) -> PathBuf {
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

/// An engine for the list.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn start(home: &Path) -> Self {
        let arguments = [
            "local",
            "serve",
            "--api-key",
            "bench-key",
            "-o",
            "json",
            "--quiet",
        ];
        let mut child = command(home, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self {
            child,
            url: started["url"].as_str().unwrap().to_owned(),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
