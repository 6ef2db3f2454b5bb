//! `fastvm top`: what VMs use, with a dash for what is not known.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::common::scripted::{json, stream};
use crate::common::terminal::{self, Terminal};
use crate::common::{Front, Home, Ran, Say, Served};

const ONCE: [&str; 6] = ["top", "--once", "--interval", "500ms", "-o", "json"];

/// The row of a VM.
fn row(json: &Value, name: &str) -> Value {
    let rows = json.as_array().unwrap();
    let found = rows.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("{json}")).clone()
}

#[test]
fn a_vm_that_runs_has_figures_and_one_that_does_not_has_none() {
    let home = Home::new();
    for name in ["busy", "paused"] {
        home.ok(&["--local", "vm", "launch", "-n", name, "--quiet"]);
    }
    home.ok(&["--local", "vm", "pause", "paused", "--quiet"]);
    let mut work = home
        .command(&["--local", "exec", "busy", "echo up; while :; do :; done"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    work.stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 3])
        .unwrap();
    let ran = home.run(&[&["--local"], &ONCE[..]].concat());
    work.kill().unwrap();
    work.wait().unwrap();
    assert_eq!(ran.code, 0, "{ran}");
    let busy = row(&ran.json(), "busy");
    assert_eq!(busy["answers"], true, "{ran}");
    assert!(busy["cpuPercent"].as_f64() > Some(1.0), "{ran}");
    assert!(busy["memoryUsedBytes"].as_u64() > Some(0), "{ran}");
    assert_eq!(busy["memoryTotalBytes"], 2_u64 << 30, "{ran}");
    assert!(busy["netSentBytesPerSecond"].is_u64(), "{ran}");
    let paused = row(&ran.json(), "paused");
    assert_eq!(paused["answers"], false, "{ran}");
    for (name, figure) in paused.as_object().unwrap() {
        if name.contains("Bytes") || name == "cpuPercent" {
            assert!(figure.is_null(), "{name}: {paused}");
        }
    }
    let one = home.run(&["--local", "top", "paused", "--once", "--interval", "500ms"]);
    assert!(!one.stdout.contains("busy"), "{one}");
    assert!(one.stdout.contains('–'), "{one}");
    let blocks = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    for (locale, term, draws) in [
        ("C", "xterm", false),
        ("en_US.UTF-8", "dumb", false),
        ("en_US.UTF-8", "xterm", true),
    ] {
        let mut top = home.command(&[&["--local"], &ONCE[..ONCE.len() - 2]].concat());
        let ran = Ran::of(&top.env("LANG", locale).env("TERM", term).output().unwrap());
        assert!(ran.stdout.contains("busy"), "{ran}");
        assert_eq!(ran.stdout.contains(blocks), draws, "{locale} {term}\n{ran}");
        assert_eq!(ran.stdout.is_ascii(), !draws, "{locale} {term}\n{ran}");
    }
}

#[test]
fn a_vm_that_does_not_answer_is_a_dash_and_never_zero() {
    let served = Served::start();
    for answer in [
        json("500 Oops", r#"{"error":"no"}"#),
        stream("{\"t\":\"x\",\"c\":127}\n"),
        stream("{\"t\":\"o\",\"d\":\"Z2FyYmFnZQ==\"}\n{\"t\":\"x\"}\n"),
        stream("{\"t\":\"o\","),
    ] {
        let front = Front::new(served.url(), "uploadUrl", move |asked| {
            match asked.line.ends_with("/exec") {
                true => Say::Answer(answer.clone()),
                false => Say::Pass,
            }
        });
        let home = Home::with_server(front.url());
        let ran = home.run(&["top", "--once", "--interval", "500ms", "--no-header"]);
        assert_eq!(ran.code, 0, "{ran}");
        let words: Vec<_> = ran.stdout.split_whitespace().collect();
        assert_eq!(words[..2], ["dev", "running"], "{ran}");
        assert!(words[2..].iter().all(|word| *word == "–"), "{ran}");
    }
}

/// A server of so many VMs, which counts how many are asked at once.
fn crowd(count: usize, most: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let now = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (now, most) = (now.clone(), most.clone());
            std::thread::spawn(move || answer(client.unwrap(), count, &now, &most));
        }
    });
    url
}

fn answer(mut client: TcpStream, count: usize, now: &AtomicUsize, most: &AtomicUsize) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).unwrap();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let answer = if first.contains("/exec") {
        let asked = now.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(asked, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(5));
        now.fetch_sub(1, Ordering::SeqCst);
        // uptime 5.0; shared
        stream("{\"t\":\"o\",\"d\":\"dXB0aW1lIDUuMCAxCnNoYXJlZAo=\"}\n{\"t\":\"x\"}\n")
    } else {
        let vm = |number: usize| {
            format!(
                r#"{{"id":"vm-{number}","name":"w-{number}","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"running","createdAt":"2026-01-02T03:04:05Z"}}"#
            )
        };
        let vms: Vec<_> = (0..count).map(vm).collect();
        json("200 OK", &format!("[{}]", vms.join(",")))
    };
    // A client that leaves in the middle concerns nobody else.
    let _ = client.write_all(answer.as_bytes());
}

#[test]
fn two_hundred_vms_are_asked_sixteen_at_a_time() {
    let most = Arc::new(AtomicUsize::new(0));
    let home = Home::with_server(&crowd(200, most.clone()));
    let ran = home.run(&ONCE);
    let rows = ran.json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 200, "{ran}");
    assert!(rows.iter().all(|row| row["answers"] == true), "{ran}");
    let most = most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most}");
}

#[test]
fn a_terminal_is_drawn_on_and_given_back() {
    let served = Served::start();
    let home = served.client();
    let top = home.command(&["top", "--interval", "500ms"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo before; \"$@\"; echo left $?", "sh"]);
    shell.arg(top.get_program()).args(top.get_args());
    shell.env_clear();
    let set = top.get_envs();
    shell.envs(set.filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::run(&mut shell);
    terminal.wait_for("1 of 1 VMs answer");
    terminal.wait_for("dev");
    terminal.type_in("q");
    terminal.wait_for("left 0");
    assert!(
        terminal.text().starts_with("before\nleft 0"),
        "{}",
        terminal.text()
    );
    assert_eq!(terminal.end(), 0);
    assert!(terminal.is_given_back());
}

#[test]
fn signals_end_it_and_give_the_terminal_back() {
    let served = Served::start();
    let home = served.client();
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut terminal = Terminal::run(&mut home.command(&["top", "--interval", "500ms"]));
        terminal.wait_for("VMs answer");
        assert!(terminal.is_on_other_screen() && !terminal.is_given_back());
        signal(&terminal, name);
        assert_eq!(terminal.end(), code, "{name}");
        assert!(terminal.is_given_back(), "{name}");
        terminal.wait_for_first_screen();
    }
}

#[test]
fn it_ends_when_its_terminal_is_closed() {
    let served = Served::start();
    let home = served.client();
    let (master, slave) = terminal::ends();
    let mut master = std::fs::File::from(master);
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut top = home.command(&["top", "--interval", "500ms"]);
    top.env("TERM", "xterm").stdin(end()).stdout(end());
    let child = top.stderr(Stdio::piped()).spawn().unwrap();
    drop((top, slave));
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("VMs answer") {
        let mut buffer = [0; 4096];
        let count = master.read(&mut buffer).unwrap();
        shown.extend_from_slice(&buffer[..count]);
    }
    drop(master);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some(), "{output:?}");
    assert!(!said.contains("has a bug"), "{said}");
}

fn signal(terminal: &Terminal, name: &str) {
    let pid = terminal.child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_window_that_is_too_small_shows_who_works_most_and_counts_the_rest() {
    let home = Home::with_server(&crowd(200, Arc::default()));
    let mut terminal = Terminal::run(&mut home.command(&["top"]));
    terminal.wait_for("0 of 200 VMs answer, 180 below");
    terminal.type_in("q");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn without_a_terminal_it_prints_once_or_lines() {
    let served = Served::start();
    let home = served.client();
    for options in [&[][..], &["-o", "json"], &["dev", "-l", "a=b", "--once"]] {
        let ran = home.run(&[&["top"], options].concat());
        assert_eq!(ran.code, 2, "{options:?}\n{ran}");
    }
    let mut child = home
        .command(&["top", "-o", "jsonl", "--interval", "500ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = lines.find(|line| {
        let row: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
        assert_eq!(row["name"], "dev");
        row["cpuPercent"].is_number()
    });
    assert!(answered.is_some());
    drop(lines);
    // Nobody reads any more.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(home.run(&["top", "nope", "--once"]).code, 3);
}
