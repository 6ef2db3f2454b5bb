//! `fastvm local`: serving, looking, forwarding, and leaving nothing behind.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::common::{FASTVM, Home, Ran};

/// A command that prints a line when it is ready, and runs until it is killed.
struct Running {
    child: Child,
    first_line: String,
}

impl Running {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut child = home
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first_line)
            .unwrap();
        Self {
            child,
            first_line: first_line.trim().to_owned(),
        }
    }

    fn end(&mut self, signal: &str) -> i32 {
        std::process::Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn serving_says_the_url_first_and_ends_on_a_signal_while_vms_live_on() {
    let home = Home::new();
    let mut serving = Running::start(&home, &["local", "serve", "--listen", "127.0.0.1:0"]);
    let url = serving
        .first_line
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    let variables = home.ok(&["local", "env"]);
    assert!(
        variables.starts_with(&format!(
            "export FASTVM_BASE_URL={url}\nexport FASTVM_API_KEY="
        )),
        "{variables}"
    );
    let key = home.run(&["local", "env", "--json"]).json()["FASTVM_API_KEY"]
        .as_str()
        .unwrap()
        .to_owned();
    let away = Home::new()
        .set("FASTVM_BASE_URL", &url)
        .set("FASTVM_API_KEY", &key);
    away.ok(&["launch", "-n", "dev", "--quiet"]);
    assert_eq!(away.ok(&["exec", "dev", "hostname"]), "dev");
    assert_eq!(home.ok(&["--local", "ls", "-o", "name"]), "dev");
    assert_eq!(serving.end("INT"), 0);
    assert_eq!(home.run(&["local", "env"]).code, 3);
    assert_eq!(home.ok(&["--local", "exec", "dev", "hostname"]), "dev");
}

#[test]
fn serving_with_v_shows_each_request_and_no_signature() {
    let home = Home::new();
    let told = home.join("told");
    let mut child = home
        .command(&["local", "serve", "-v"])
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&told).unwrap())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let mut serving = Running {
        child,
        first_line: line,
    };
    let url = serving.first_line.trim().strip_prefix("listening on ");
    let key = home.run(&["local", "env", "--json"]).json();
    let away = Home::new()
        .set("FASTVM_BASE_URL", url.unwrap())
        .set("FASTVM_API_KEY", key["FASTVM_API_KEY"].as_str().unwrap());
    away.ok(&["launch", "-n", "dev", "--quiet"]);
    std::fs::write(away.join("big"), vec![b'x'; 3_000_000]).unwrap();
    let copy = away.ok(&["cp", "big", "dev:/root/big", "-vv"]);
    assert_eq!(copy, "");
    assert_eq!(away.run(&["vm", "get", "nowhere"]).code, 3);
    assert_eq!(serving.end("INT"), 0);
    let told = std::fs::read_to_string(&told).unwrap();
    for part in ["POST /v1/vms 201 ", "PUT /blobs/", "GET /blobs/"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains('?'), "{told}");
}

#[test]
fn an_engine_that_ends_is_forgotten_and_the_other_one_is_found() {
    let home = Home::new();
    let serve = ["local", "serve", "-o", "json"];
    let url = |serving: &Running| {
        let line: serde_json::Value = serde_json::from_str(&serving.first_line).unwrap();
        line["url"].as_str().unwrap().to_owned()
    };
    let found = || {
        let ran = home.run(&["local", "env", "-q", ".FASTVM_BASE_URL"]);
        ran.stdout.trim().to_owned()
    };
    let mut first = Running::start(&home, &serve);
    let mut second = Running::start(&home, &serve);
    assert_eq!(found(), url(&second));
    assert_eq!(second.end("INT"), 0);
    assert_eq!(found(), url(&first));
    let third = Running::start(&home, &serve);
    assert_eq!(found(), url(&third));
    // One that is killed removes nothing.
    drop(third);
    assert_eq!(found(), url(&first));
    assert_eq!(first.end("TERM"), 0);
    assert_eq!(found(), "");
}

#[test]
fn a_limit_on_descriptors_that_is_too_low_is_told_in_one_line() {
    let home = Home::new();
    home.ok(&["--local", "ls"]);
    let mut refused = 0;
    for limit in 6..=40 {
        let reference = home.command(&[]);
        let ran = Ran::of(
            &std::process::Command::new("sh")
                .args([
                    "-c",
                    &format!("ulimit -n {limit} && exec \"$0\" --local ls"),
                ])
                .arg(FASTVM)
                .env_clear()
                .envs(
                    reference
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                )
                .current_dir(home.path())
                .output()
                .unwrap(),
        );
        if ran.code != 0 {
            refused += 1;
            let lines: Vec<_> = ran.stderr.lines().collect();
            assert!(
                lines.len() == 1 && lines[0].starts_with("error: ") && !lines[0].contains("bug"),
                "{limit} descriptors\n{ran}"
            );
        }
    }
    assert!(refused > 0, "every limit was enough");
    assert_eq!(home.ok(&["--local", "ls"]), "");
}

#[test]
fn another_key_than_the_one_given_is_refused() {
    let home = Home::new();
    let serving = Running::start(
        &home,
        &["local", "serve", "--api-key", "right-key", "-o", "json"],
    );
    let url: serde_json::Value = serde_json::from_str(&serving.first_line).unwrap();
    let away = Home::new().set("FASTVM_BASE_URL", url["url"].as_str().unwrap());
    assert_eq!(away.run(&["--api-key", "wrong-key", "ls"]).code, 4);
    let file = away.join("key");
    std::fs::write(&file, "right-key\n").unwrap();
    assert_eq!(
        away.ok(&["--api-key-file", file.to_str().unwrap(), "ls", "--json"]),
        "[]"
    );
}

#[test]
fn a_command_that_runs_in_a_killed_engine_leaves_a_vm_that_the_next_one_finds() {
    let home = Home::new();
    let mut serving = Running::start(&home, &["local", "serve"]);
    home.ok(&["--local", "launch", "-n", "dev"]);
    serving.child.kill().unwrap();
    serving.child.wait().unwrap();
    assert_eq!(home.ok(&["--local", "exec", "dev", "echo alive"]), "alive");
    assert_eq!(
        home.run(&["local", "status", "--json"]).json()["running"],
        1
    );
}

#[test]
fn a_reset_leaves_no_process_no_mount_and_no_file() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    home.ok(&[
        "--local",
        "exec",
        "dev",
        "(sh -c 'sleep 987; :' marker-of-this-test >/dev/null 2>&1 &); true",
    ]);
    assert_ne!(marked(), 0);
    home.ok(&["local", "reset", "--yes"]);
    assert!(!home.join("local").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(home.path().to_str().unwrap()), "{mounts}");
    assert_eq!(marked(), 0);
}

/// Processes of this machine that the reset must end.
fn marked() -> usize {
    let commands = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path().join("cmdline")).ok());
    commands
        .filter(|command| command.ends_with("marker-of-this-test\0"))
        .count()
}

#[test]
fn a_guest_cannot_use_the_api_even_with_the_key() {
    if crate::common::lacks("curl") {
        return;
    }
    let home = Home::new();
    let serving = Running::start(&home, &["local", "serve", "--api-key", "k1", "-o", "json"]);
    let url: serde_json::Value = serde_json::from_str(&serving.first_line).unwrap();
    let url = url["url"].as_str().unwrap();
    let away = Home::new()
        .set("FASTVM_BASE_URL", url)
        .set("FASTVM_API_KEY", "k1");
    away.ok(&["launch", "-n", "dev", "--quiet"]);
    let asked = away.ok(&[
        "exec",
        "dev",
        &format!("curl -s -o /dev/null -w '%{{http_code}}' -H 'X-API-Key: k1' {url}/v1/vms"),
    ]);
    assert_eq!(asked, "403");
}

#[test]
fn a_page_in_a_browser_cannot_use_the_api() {
    let home = Home::new();
    let serving = Running::start(&home, &["local", "serve", "--api-key", "k1", "-o", "json"]);
    let url: serde_json::Value = serde_json::from_str(&serving.first_line).unwrap();
    let address = url["url"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    for header in ["Host: evil.example", "Origin: https://evil.example"] {
        let host = if header.starts_with("Host") {
            String::new()
        } else {
            format!("Host: {address}\r\n")
        };
        let mut socket = TcpStream::connect(&address).unwrap();
        write!(
            socket,
            "GET /v1/vms HTTP/1.1\r\n{host}{header}\r\nX-API-Key: k1\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{header}: {answer}");
    }
}

#[test]
fn the_engine_takes_its_quotas_from_a_variable_and_a_launch_over_one_says_what_is_left() {
    let home = Home::new().set("FASTVM_LOCAL_QUOTAS", "vcpu=1,snapshotCount=0");
    home.ok(&["--local", "vm", "launch", "--name", "first"]);
    let over = home.run(&["--local", "vm", "launch", "--name", "second"]);
    assert_eq!(over.code, 6, "{over}");
    assert!(
        over.stderr
            .contains("vcpu is limited to 1, 1 in use, 0 left, 1 more wanted"),
        "{over}"
    );
    assert!(over.stderr.contains("0 of 1 vCPU left, 1 needed"), "{over}");
    let limits = home.ok(&[
        "--local",
        "quota",
        "-q",
        ".limits | [.vcpu, .snapshotCount, .volumeCount]",
    ]);
    assert_eq!(limits, "[1,0,20]");
    assert_eq!(
        home.run(&["--local", "snapshot", "create", "first"]).code,
        6
    );
    let home = home.set("FASTVM_LOCAL_QUOTAS", "cpus=1");
    let wrong = home.run(&["local", "status"]);
    assert_eq!(wrong.code, 2, "{wrong}");
    assert!(
        wrong
            .stderr
            .contains("FASTVM_LOCAL_QUOTAS: there is no quota \"cpus\""),
        "{wrong}"
    );
    let home = home.set("FASTVM_LOCAL_QUOTAS", "");
    home.ok(&["local", "reset", "--yes"]);
}
