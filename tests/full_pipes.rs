//! Commands whose output nobody reads: signals end them all the same, and what was written stays whole.

use std::io::{PipeReader, PipeWriter, Read as _};
use std::process::{Child, Command, Stdio};

use crate::common::Home;

/// The signals, and the exit codes that stand for them.
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status();
    assert!(sent.unwrap().success());
}

/// A pipe that is full as soon as anything is in it.
fn narrow() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&reader, 4096).unwrap();
    (reader, writer)
}

fn wait_until_full(pipe: &PipeReader) {
    while rustix::io::ioctl_fionread(pipe).unwrap() == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_ends_an_exec_and_its_command_while_nobody_reads_the_output() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    for (name, code) in SIGNALS {
        let (mut pipe, end) = narrow();
        let mut child = home
            .command(&["--local", "exec", "dev", "--", "yes", "word"])
            .stdout(end)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until_full(&pipe);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        let mut written = String::new();
        pipe.read_to_string(&mut written).unwrap();
        let (lines, rest) = written.rsplit_once('\n').unwrap();
        assert!(lines.lines().all(|line| line == "word") && "word".starts_with(rest));
        let gone = "! cat /proc/[0-9]*/comm | grep -qx yes";
        assert_eq!(
            home.run(&["--local", "exec", "dev", gone]).code,
            0,
            "{name}"
        );
    }
}

#[test]
fn a_signal_ends_a_run_and_its_vm_while_nobody_reads_the_output() {
    let home = Home::new();
    for (name, code) in SIGNALS {
        let (pipe, end) = narrow();
        let mut child = home
            .command(&["--local", "run", "yes word >&2"])
            .stderr(end)
            .spawn()
            .unwrap();
        wait_until_full(&pipe);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
        assert_eq!(home.ok(&["--local", "vm", "ls", "-o", "id"]), "", "{name}");
    }
}

#[test]
fn a_signal_ends_several_and_an_object_that_nobody_reads() {
    let home = Home::new();
    for vm in ["a", "b"] {
        home.ok(&["--local", "launch", "-n", vm]);
    }
    for options in [
        &["exec", "a", "b", "--", "yes", "word"][..],
        &[
            "exec",
            "--group",
            "a",
            "b",
            "--",
            "head",
            "-c",
            "300000",
            "/dev/zero",
        ],
        &[
            "--json",
            "exec",
            "a",
            "--",
            "head",
            "-c",
            "300000",
            "/dev/zero",
        ],
    ] {
        let (pipe, end) = narrow();
        let mut child = home
            .command(&[&["--local"], options].concat())
            .stdout(end)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until_full(&pipe);
        signal(&child, "INT");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{options:?}");
    }
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    let (mut pipe, end) = narrow();
    let mut child = home
        .command(&["--local", "exec", "dev", "seq 200000; seq 200000 >&2"])
        .stdout(end)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_full(&pipe);
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    let mut said = String::new();
    let complaints = std::thread::spawn({
        let mut pipe = child.stderr.take().unwrap();
        move || {
            let mut said = String::new();
            pipe.read_to_string(&mut said).unwrap();
            said
        }
    });
    pipe.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(said == expected && complaints.join().unwrap() == expected);
}
