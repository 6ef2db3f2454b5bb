//! `fastvm run` at every point of its life: a signal there leaves no VM, or says which and how to delete it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use crate::common::{Home, Ran, lacks};

const ID: &str = "3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7";

/// Where an answer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    BeforeTheHead,
    AfterTheHead,
    InTheBody,
}

/// A server that stops once, at the `at`th request, until it is told to go on; and whether its VM is there.
struct Server {
    url: String,
    stalled: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
    there: Arc<Mutex<bool>>,
}

impl Server {
    fn new(at: usize, stall: Stall) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, stalled) = mpsc::channel();
        let (go_on, resume) = mpsc::channel();
        let there = Arc::new(Mutex::new(false));
        let (is_there, base) = (there.clone(), url.clone());
        let resume = Arc::new(Mutex::new(resume));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (there, base) = (is_there.clone(), base.clone());
                let (tell, resume) = (tell.clone(), resume.clone());
                // Each request has a thread: a stalled one must not hold up the others.
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(line) = request(&mut stream) else {
                        return;
                    };
                    let body = answer(&line, &there, &base);
                    let kind = if line.contains("/exec") {
                        "application/x-ndjson"
                    } else {
                        "application/json"
                    };
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let whole = head.clone() + &body;
                    let cut = match stall {
                        Stall::BeforeTheHead => 0,
                        Stall::AfterTheHead => head.len(),
                        Stall::InTheBody => head.len() + body.len() / 2,
                    };
                    let (first, second) = whole.as_bytes().split_at(cut);
                    // A client that has heard enough hangs up.
                    let _ = stream.write_all(first);
                    if number == at {
                        tell.send(()).unwrap();
                        let _ = resume.lock().unwrap().recv();
                    }
                    let _ = stream.write_all(second);
                });
            }
        });
        Self {
            url,
            stalled,
            go_on,
            there,
        }
    }
}

/// Reads a request whole; its first line.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader
        .read_line(&mut first)
        .ok()
        .filter(|count| *count > 0)?;
    let (mut length, mut line) = (0, String::new());
    while line != "\r\n" {
        line.clear();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(first)
}

fn answer(line: &str, there: &Mutex<bool>, base: &str) -> String {
    let vm = |status: &str| {
        format!(
            r#"{{"id":"{ID}","name":"dev","orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"{status}","createdAt":"2026-01-02T03:04:05Z"}}"#
        )
    };
    match line.split_whitespace().next().unwrap() {
        "POST" if line.starts_with("POST /v1/vms ") => {
            *there.lock().unwrap() = true;
            vm("provisioning")
        }
        "POST" if line.contains("/services ") => r#"{"name":"web","port":8080}"#.to_owned(),
        "POST" if line.starts_with("POST /v1/builds ") || line.starts_with("POST /v1/volume") || line.starts_with("POST /v1/snapshots ") => {
            format!(r#"{{"id":"{ID}","name":"dev","orgId":"o","vmId":"{ID}","status":"ready","createdAt":"2026-01-02T03:04:05Z"}}"#)
        }
        "DELETE" => {
            *there.lock().unwrap() = false;
            format!(r#"{{"id":"{ID}","deleted":true}}"#)
        }
        "GET" => vm("running"),
        "PUT" => String::new(),
        _ if line.contains("presign") => format!(
            r#"{{"uploadUrl":"{base}/up","downloadUrl":"{base}/down","expiresInSec":900,"maxUploadBytes":1000000000}}"#
        ),
        _ if line.contains("/files/fetch") => r#"{"exitCode":0,"stdout":"","stderr":"","timedOut":false,"stdoutTruncated":false,"stderrTruncated":false,"durationMs":1}"#.to_owned(),
        _ => "{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"x\",\"c\":0}\n".to_owned(),
    }
}

/// Runs to the stall, signals so often, lets the server go on if it is to, and returns how it ended.
fn interrupted(server: &Server, signal: &str, times: usize, goes_on: bool) -> Ran {
    let home = Home::with_server(&server.url);
    std::fs::write(home.join("input"), vec![b'x'; 1_100_000]).unwrap();
    signalled(
        server,
        &home,
        &["run", "--stdin-file", "input", "cat"],
        (signal, times),
        goes_on,
    )
}

/// The same for any command.
fn signalled(
    server: &Server,
    home: &Home,
    words: &[&str],
    (signal, times): (&str, usize),
    goes_on: bool,
) -> Ran {
    let child = home
        .command(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.stalled.recv().unwrap();
    for _ in 0..times {
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
        // Two signals at once would be one.
        std::thread::sleep(std::time::Duration::from_millis(150));
    }
    if goes_on {
        server.go_on.send(()).unwrap();
    }
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_signal_at_any_request_leaves_no_vm() {
    // Launch, look, presign, upload, make the folder, fetch, run, delete.
    for at in 0..8 {
        for stall in [Stall::BeforeTheHead, Stall::AfterTheHead, Stall::InTheBody] {
            // Nobody waits for the body of an upload's answer.
            if at == 3 && stall != Stall::BeforeTheHead {
                continue;
            }
            for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
                let server = Server::new(at, stall);
                let ran = interrupted(&server, signal, 1, true);
                let told = ran.stderr.contains(&format!("fastvm vm delete {ID}"));
                let gone = !*server.there.lock().unwrap();
                assert!(gone || told, "request {at}, {stall:?}, {signal}\n{ran}");
                assert_eq!(ran.code, code, "request {at}, {stall:?}, {signal}\n{ran}");
            }
        }
    }
}

#[test]
fn a_second_signal_leaves_a_dead_server_and_says_what_may_be_left() {
    for (at, hint) in [
        (0, "fastvm vm list -l fastvm-cli/run="),
        (7, "fastvm vm delete"),
    ] {
        for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
            let server = Server::new(at, Stall::BeforeTheHead);
            let ran = interrupted(&server, signal, 2, false);
            assert!(
                ran.code == code && ran.stderr.contains(hint),
                "{at} {signal}\n{ran}"
            );
        }
    }
}

#[test]
fn a_time_limit_of_timeout_which_signals_twice_leaves_no_vm() {
    if lacks("timeout") {
        return;
    }
    let home = Home::new();
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let run = home.command(&["--local", "run", "sleep 4321"]);
        let mut limited = Command::new("timeout");
        limited.args(["--preserve-status", "-s", name, "2"]);
        limited.arg(run.get_program()).args(run.get_args());
        limited.env_clear();
        limited.envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let ran = Ran::of(&limited.output().unwrap());
        assert_eq!(ran.code, code, "{ran}");
        assert_eq!(home.ok(&["--local", "vm", "ls", "-o", "id"]), "", "{ran}");
    }
}

/// Commands whose first request makes something, and how to look whether it was made.
const MAKING: [(&[&str], &str); 9] = [
    (&["vm", "launch", "--no-wait", "-o", "id"], "fastvm vm list"),
    (&["launch", "-n", "dev"], "fastvm vm list --name dev"),
    (
        &["launch", "-n", "dev", "--count", "1"],
        "fastvm vm list --name dev-1",
    ),
    (&["snapshot", "restore", ID, "--no-wait"], "fastvm vm list"),
    (
        &["snapshot", "create", ID, "--wait"],
        "fastvm snapshot list",
    ),
    (
        &["service", "add", ID, "web", "8080"],
        "fastvm service list",
    ),
    (
        &["build", "create", "--image", "python:3"],
        "fastvm snapshot list",
    ),
    (
        &["volume", "create", "data", "--size-gib", "1"],
        "fastvm volume list",
    ),
    (
        &[
            "credential",
            "create",
            "c",
            "--type",
            "s3",
            "--data-file",
            "key",
        ],
        "fastvm credential list",
    ),
];

#[test]
fn a_signal_while_something_is_made_says_what_was_made_or_how_to_look() {
    for (words, look) in MAKING {
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let server = Server::new(0, Stall::BeforeTheHead);
            let home = Home::with_server(&server.url);
            std::fs::write(home.join("key"), "secret").unwrap();
            let once = signalled(&server, &home, words, (signal, 1), true);
            let what = match words[0] {
                _ if words[1] == "restore" => format!("`fastvm vm delete {ID}`"),
                "service" => format!("`fastvm service delete {ID} web`"),
                "build" => format!("`fastvm build get {ID}`"),
                noun => format!("{} delete {ID}`", noun.replace("launch", "vm")),
            };
            let told = once.stderr.contains(&what);
            assert!(once.code == code && told, "{words:?} {signal}\n{once}");
            let server = Server::new(0, Stall::BeforeTheHead);
            let home = Home::with_server(&server.url);
            std::fs::write(home.join("key"), "secret").unwrap();
            let twice = signalled(&server, &home, words, (signal, 2), false);
            let told = twice.stderr.contains(&format!("`{look}"));
            assert!(twice.code == code && told, "{words:?} {signal}\n{twice}");
        }
    }
}

#[test]
fn several_launches_end_with_a_signal_and_name_what_was_launched() {
    let server = Server::new(0, Stall::BeforeTheHead);
    let home = Home::with_server(&server.url);
    let words = [
        "launch",
        "--count",
        "20",
        "-n",
        "web",
        "--wait-timeout",
        "60s",
    ];
    let ran = signalled(&server, &home, &words, ("INT", 1), true);
    assert_eq!(ran.code, 130, "{ran}");
    assert!(
        ran.stderr.contains(&format!("fastvm vm delete {ID}")),
        "{ran}"
    );
}
