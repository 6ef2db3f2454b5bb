//! Streams both ways with commands in VMs, over links of several lengths; beside OpenSSH with a server of its own.
//!
//! `cargo bench --bench streams [-- echo throughput short]`. The server is `/usr/sbin/sshd` of this machine, which needs root.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where it stands"
)]

mod cases;
#[expect(dead_code, unused_imports, reason = "tests need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cases::Cases;
use common::{FaultProxy, Home, Link, Served};

/// Milliseconds, there and back.
const ROUND_TRIPS: [u64; 3] = [0, 20, 80];
const KEYS: usize = 40;
const BYTES: usize = 256 << 20;
const ROUNDS: usize = 3;
const SHORT: usize = 1000;

fn main() {
    let Some(cases) = Cases::of_command_line() else {
        return;
    };
    let served = Served::start();
    let server = SshServer::start();
    if cases.has("echo") {
        echo(&served, &server);
    }
    if cases.has("throughput") {
        throughput(&served, &server);
    }
    if cases.has("short") {
        short(&served, &server);
    }
}

/// From a key to its echo, and from the start of the command to its first byte.
fn echo(served: &Served, server: &SshServer) {
    println!("\n| round trip | contender | echo ms, median | p95 | first byte ms, median of 9 |");
    println!("| --- | --- | --- | --- | --- |");
    for round_trip in ROUND_TRIPS {
        let link = Link {
            latency: Duration::from_micros(round_trip * 500),
            rate: None,
            slice: None,
        };
        let ways = Ways::over(served, server, Some(link));
        for (name, way) in ways.all() {
            let mut keys = echoes(way(&["cat"]));
            let mut first: Vec<f64> = (0..9).map(|_| first_byte(way(&["echo", "x"]))).collect();
            println!(
                "| {round_trip} ms | {name} | {:.1} | {:.1} | {:.1} |",
                percentile(&mut keys, 50),
                percentile(&mut keys, 95),
                percentile(&mut first, 50)
            );
        }
    }
}

fn echoes(mut command: Command) -> Vec<f64> {
    let mut child = piped(&mut command);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut key = || {
        let start = Instant::now();
        stdin.write_all(b"x").unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        let time = start.elapsed();
        // Nobody types faster.
        thread::sleep(Duration::from_millis(20));
        time.as_secs_f64() * 1e3
    };
    key();
    let times = (0..KEYS).map(|_| key()).collect();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    times
}

fn first_byte(mut command: Command) -> f64 {
    let start = Instant::now();
    let mut child = piped(&mut command);
    drop(child.stdin.take());
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let time = start.elapsed();
    assert!(child.wait().unwrap().success());
    time.as_secs_f64() * 1e3
}

/// Random bytes up through `sha256sum`, and down.
fn throughput(served: &Served, server: &SshServer) {
    let file = server.home.join("random");
    let fill = format!("head -c {BYTES} /dev/urandom");
    let random = fs::File::create(&file).unwrap();
    let mut shell = Command::new("sh");
    let filled = shell.args(["-c", &fill]).stdout(random).status();
    assert!(filled.unwrap().success());
    served.sh(&format!("{fill} >/tmp/fastvm-random"));
    fs::copy(&file, "/tmp/fastvm-random").unwrap();
    println!("\n| 256 MiB, loopback | up MB/s, median | down MB/s, median |");
    println!("| --- | --- | --- |");
    let ways = Ways::over(served, server, None);
    for (name, way) in ways.all() {
        let rate = |direction: &dyn Fn() -> f64| {
            let mut rates: Vec<f64> = (0..ROUNDS).map(|_| direction()).collect();
            percentile(&mut rates, 50)
        };
        let up = || {
            let start = Instant::now();
            let mut command = way(&["sha256sum"]);
            let input = fs::File::open(&file).unwrap();
            // A pipe, as a file goes another way.
            let mut cat = Command::new("cat")
                .stdin(input)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = command.stdin(cat.stdout.take().unwrap()).output().unwrap();
            assert!(output.status.success() && cat.wait().unwrap().success());
            BYTES as f64 / 1e6 / start.elapsed().as_secs_f64()
        };
        let down = || {
            let start = Instant::now();
            let mut child = piped(&mut way(&["cat", "/tmp/fastvm-random"]));
            drop(child.stdin.take());
            let mut output = child.stdout.take().unwrap();
            let count = std::io::copy(&mut output, &mut std::io::sink()).unwrap();
            assert!(child.wait().unwrap().success() && count == BYTES as u64);
            BYTES as f64 / 1e6 / start.elapsed().as_secs_f64()
        };
        println!("| {name} | {:.0} | {:.0} |", rate(&up), rate(&down));
    }
    fs::remove_file("/tmp/fastvm-random").unwrap();
}

/// A thousand commands that say nothing, one after the other.
fn short(served: &Served, server: &SshServer) {
    println!("\n| {SHORT} times `true`, one after the other | s | ms each |");
    println!("| --- | --- | --- |");
    let ways = Ways::over(served, server, None);
    for (name, way) in ways.all() {
        let start = Instant::now();
        for _ in 0..SHORT {
            let status = way(&["true"]).stdin(Stdio::null()).status();
            assert!(status.unwrap().success());
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "| {name} | {seconds:.1} | {:.1} |",
            seconds * 1e3 / SHORT as f64
        );
    }
}

fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn percentile(numbers: &mut [f64], percent: usize) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() - 1) * percent / 100]
}

/// The contenders, over one link.
struct Ways<'a> {
    home: Home,
    server: &'a SshServer,
    /// Where its server is reached.
    port: String,
    _links: Vec<FaultProxy>,
}

/// A command that runs a command.
type Way<'a> = Box<dyn Fn(&[&str]) -> Command + 'a>;

impl<'a> Ways<'a> {
    fn over(served: &Served, server: &'a SshServer, link: Option<Link>) -> Self {
        let direct = format!("http://127.0.0.1:{}", server.port);
        let links: Vec<_> = link
            .into_iter()
            .flat_map(|link| [(served.url(), link), (&direct, link)])
            .map(|(url, link)| FaultProxy::new(url, link))
            .collect();
        let urls: Vec<_> = links.iter().map(FaultProxy::url).collect();
        let home = match urls.first() {
            Some(url) => Home::with_server(url),
            None => served.client(),
        };
        home.ok(&["ssh", "setup"]);
        let port = urls.last().unwrap_or(&direct).rsplit(':').next().unwrap();
        Self {
            home,
            server,
            port: port.to_owned(),
            _links: links,
        }
    }

    fn all(&self) -> Vec<(&'static str, Way<'_>)> {
        let fastvm = |words: &[&str]| {
            let mut command = self.home.command(&["exec", "-i", "dev", "--"]);
            command.args(words);
            command
        };
        let ssh = |words: &[&str]| {
            let mut command = Command::new("ssh");
            for (name, value) in self.home.command(&[]).get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command.arg("-F").arg(self.home.join(".ssh/config"));
            command.arg("dev.fastvm").args(words);
            command
        };
        let peer = |words: &[&str]| self.server.command(&self.port, words);
        vec![
            ("ssh, sshd on this machine", Box::new(peer)),
            ("fastvm exec -i", Box::new(fastvm)),
            ("ssh dev.fastvm", Box::new(ssh)),
        ]
    }
}

/// `sshd` on a port of loopback, for root with a key of its own.
struct SshServer {
    home: Home,
    port: String,
    child: Child,
}

impl SshServer {
    fn start() -> Self {
        let home = Home::new();
        for key in ["host", "client"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(home.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        fs::create_dir_all("/run/sshd").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        drop(listener);
        let mut child = Command::new("/usr/sbin/sshd");
        child.args(["-D", "-f", "/dev/null", "-o", "ListenAddress=127.0.0.1"]);
        child.args([
            "-o",
            "StrictModes=no",
            "-o",
            "UsePAM=no",
            "-o",
            "MaxStartups=100",
        ]);
        for (option, value) in [
            ("Port", port.clone()),
            ("PidFile", "none".to_owned()),
            ("PermitRootLogin", "yes".to_owned()),
            ("HostKey", home.join("host").display().to_string()),
            (
                "AuthorizedKeysFile",
                home.join("client.pub").display().to_string(),
            ),
        ] {
            child.arg("-o").arg(format!("{option}={value}"));
        }
        let child = child.spawn().unwrap();
        while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            thread::sleep(Duration::from_millis(50));
        }
        Self { home, port, child }
    }

    fn command(&self, port: &str, words: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-q", "-o", "StrictHostKeyChecking=no"]);
        command.args(["-o", "UserKnownHostsFile=/dev/null", "-p", port, "-i"]);
        command.arg(self.home.join("client"));
        command.arg("root@127.0.0.1").args(words);
        command
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}
