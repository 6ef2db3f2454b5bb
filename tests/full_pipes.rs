//! Commands whose output nobody reads: signals end them all the same, and what was written stays whole.

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::terminal::{self, Terminal};
use crate::common::{Home, Ran, Served, signal};

/// The signals, and the exit codes that stand for them.
const SIGNALS: [(&str, i32); 3] = [("INT", 130), ("TERM", 143), ("HUP", 129)];

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

/// Waits until a program hears the signal that would end it.
#[test]
fn pipes_that_do_not_block_get_every_byte() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    let line = "seq 1 30000; seq 1 30000 >&2";
    let (mut stdout, out) = narrow();
    let (mut stderr, err) = narrow();
    for pipe in [&out, &err] {
        rustix::io::ioctl_fionbio(pipe, true).unwrap();
    }
    let mut command = home.command(&["--local", "exec", "dev", line]);
    let mut child = command.stdout(out).stderr(err).spawn().unwrap();
    // Its ends of the pipes close with it alone.
    drop(command);
    let whole: String = (1..=30000).map(|number| format!("{number}\n")).collect();
    let mut text = String::new();
    wait_until_full(&stdout);
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    stdout.read_to_string(&mut text).unwrap();
    assert!(text == whole && errors.join().unwrap() == whole);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn wait_until_it_listens(child: &Child) {
    const TERMINATE: u32 = 15;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        if caught >> (TERMINATE - 1) & 1 == 1 {
            return;
        }
        std::thread::yield_now();
    }
}

/// Writes to a terminal until it takes no more.
fn fill(terminal: &OwnedFd) {
    let path = format!("/proc/self/fd/{}", terminal.as_raw_fd());
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let mut options = File::options();
    let options = options.write(true).custom_flags(nonblocking.cast_signed());
    let mut end = options.open(path).unwrap();
    while end.write_all(&[b'x'; 256]).is_ok() {}
}

#[test]
fn a_signal_ends_what_shows_things_on_a_terminal_that_nobody_reads() {
    let served = Served::start();
    let home = served.client();
    for words in [
        &["top", "--interval", "500ms"][..],
        &["top", "-o", "jsonl", "--interval", "500ms"],
        &["ls", "--watch"],
        &["ls", "--watch", "-o", "jsonl"],
    ] {
        for (name, code) in SIGNALS {
            let (_master, slave) = terminal::ends();
            fill(&slave);
            let end = || Stdio::from(slave.try_clone().unwrap());
            let mut command = home.command(words);
            command.env("TERM", "xterm").stdin(end());
            let mut child = command.stdout(end()).stderr(end()).spawn().unwrap();
            wait_until_it_listens(&child);
            signal(&child, name);
            assert_eq!(child.wait().unwrap().code(), Some(code), "{words:?} {name}");
        }
    }
}

#[test]
fn a_signal_ends_top_on_a_terminal_that_is_stopped_and_gives_it_back() {
    let served = Served::start();
    let home = served.client();
    for (name, code) in SIGNALS {
        let mut terminal = Terminal::run(&mut home.command(&["top", "--interval", "500ms"]));
        terminal.wait_for("VMs answer");
        terminal.type_in("\x13");
        // Until it draws again, which it cannot now.
        std::thread::sleep(Duration::from_secs(1));
        signal(&terminal.child, name);
        assert_eq!(terminal.end(), code, "{name}");
        assert!(terminal.is_given_back(), "{name}");
        terminal.wait_for_first_screen();
    }
}

#[test]
fn a_signal_ends_what_waits_to_print_that_something_was_made() {
    let served = Served::start();
    let home = served.client();
    for (words, made) in [
        (
            &["volume", "create", "data", "--size-gib", "1"][..],
            "volume",
        ),
        (&["snapshot", "create", "dev"], "snapshot"),
    ] {
        let (_reader, mut end) = narrow();
        end.write_all(&[b'x'; 4096]).unwrap();
        let mut child = home.command(words).stdout(end).spawn().unwrap();
        while home.ok(&[made, "list", "-o", "id"]).is_empty() {}
        // Until it has the answer, and prints.
        std::thread::sleep(Duration::from_secs(1));
        signal(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(143), "{words:?}");
    }
}

#[test]
fn data_without_a_standard_output_is_a_failure() {
    let served = Served::start();
    let home = served.client();
    for (words, code) in [
        (&["vm", "list"][..], 1),
        (&["vm", "get", "dev", "-o", "json"], 1),
        (&["quota"], 1),
        (&["api", "/v1/vms"], 1),
        (&["volume", "create", "data", "--size-gib", "1"], 1),
        (&["cp", "dev:/etc/hostname", "-"], 1),
        (&["exec", "dev", "echo hi"], 125),
        (&["config", "path"], 1),
        (&["completion", "bash"], 1),
        (&["--help"], 1),
        (&["vm", "--help"], 1),
        (&["--version"], 1),
        // Print nothing there.
        (&["exec", "dev", "true"], 0),
        (&["vm", "delete", "--yes", "nope", "--ignore-not-found"], 0),
    ] {
        for redirection in [">&-", "1</dev/null"] {
            let fastvm = home.command(words);
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("\"$0\" \"$@\" {redirection}")]);
            shell.arg(fastvm.get_program()).args(words).env_clear();
            let set = fastvm.get_envs();
            shell.envs(set.filter_map(|(name, value)| Some((name, value?))));
            let ran = Ran::of(&shell.stdin(Stdio::null()).output().unwrap());
            assert_eq!(ran.code, code, "{words:?} {redirection}\n{ran}");
            let tells = ran.stderr.contains("output: Bad file descriptor");
            assert_eq!(tells, code != 0, "{words:?} {redirection}\n{ran}");
        }
    }
}
