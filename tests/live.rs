//! Input that goes on while the command runs, and commands on a terminal.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin};
use std::thread;
use std::time::Duration;

use snapbox::assert_data_eq;

use crate::common::terminal::{Terminal, resize};
use crate::common::{Front, Home, Ran, Say, Served, guest_user, signal};
use crate::matrix::Random;

/// Programs of BusyBox alone, in front of the VM's own.
const BUSYBOX_ALONE: &str = "for name in sh cat setsid mv rm rmdir mkdir sleep wc kill stty tty; do ln -s \"$(command -v busybox)\" /srv/tools/$name; done";

/// A command whose input the test writes.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Running {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut child = home.spawn(arguments);
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes.as_ref()).unwrap();
        stdin.flush().unwrap();
    }

    /// Reads output until there is a whole line of it.
    fn line(&mut self) -> String {
        let stdout = self.child.stdout.as_mut().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") && stdout.read(&mut byte).unwrap() == 1 {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Ends the input, and returns what else was printed, on either stream, and the exit code.
    fn end(mut self) -> (String, String, i32) {
        drop(self.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        (text(output.stdout), text(output.stderr), code)
    }
}

/// Waits for something to become true in the VM.
pub(crate) fn wait_in_vm(served: &Served, condition: &str) {
    let line =
        format!("for i in $(seq 600); do if {condition}; then echo yes; exit; fi; sleep 0.1; done");
    assert_eq!(served.sh(&line), "yes", "{condition}");
}

/// What a stream has in the VM: folders, and processes of ours.
pub(crate) const NOTHING_OF_STREAMS: &str = "! ls -d /dev/shm/.fastvm-* /tmp/.fastvm-* /var/tmp/.fastvm-* >/dev/null 2>&1 && ! pgrep -f fastvm-strea[m] >/dev/null";

#[test]
fn what_is_typed_is_there_before_the_input_ends() {
    let served = Served::start();
    let home = served.client();
    let mut running = Running::start(&home, &["exec", "-i", "dev", "cat; echo over >&2; exit 7"]);
    for word in ["one\n", "two\n"] {
        running.write(word);
        assert_eq!(running.line(), word);
    }
    running.write("three");
    assert_eq!(running.end(), ("three".to_owned(), "over\n".to_owned(), 7));
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn input_that_ends_at_once_takes_one_request() {
    let served = Served::start();
    let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
    let home = Home::with_server(front.url());
    // All of it is there before the client is.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"at once").unwrap();
    drop(writer);
    let mut command = home.command(&["exec", "-i", "dev", "cat"]);
    let ran = Ran::of(&command.stdin(reader).output().unwrap());
    assert_eq!(ran.to_string(), "at once--- exit 0");
    assert_eq!(front.count("POST"), 1);
}

#[test]
fn a_command_that_ends_or_reads_no_more_ends_the_stream() {
    let served = Served::start();
    let home = served.client();
    let mut running = Running::start(
        &home,
        &["exec", "-i", "dev", "read line; echo $line; exit 3"],
    );
    running.write("first\nsecond\n");
    assert_eq!(running.line(), "first\n");
    assert_eq!(running.child.wait().unwrap().code(), Some(3));

    let closes = "exec <&-; sleep 1; echo done";
    let mut running = Running::start(&home, &["exec", "-i", "dev", closes]);
    let mut stdin = running.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // More than fits anywhere on the way; that nobody reads it is no failure.
        let _ = stdin.write_all(&vec![b'x'; 40_000_000]);
    });
    assert_eq!(running.end(), ("done\n".to_owned(), String::new(), 0));
    writer.join().unwrap();
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn what_a_command_leaves_in_the_background_does_not_hold_the_stream() {
    let served = Served::start();
    let home = served.client();
    let line = "sleep 600 >/dev/null 2>&1 & echo started";
    let mut running = Running::start(&home, &["exec", "-i", "dev", line]);
    assert_eq!(running.line(), "started\n");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// Sends random bytes in random portions through a way on which requests fail, and compares what comes back.
fn goes_there_and_back(served: &Served, seed: u64) {
    let mut random = Random::new(seed);
    let mut fate = Random::new(seed + 100);
    let front = Front::new(served.url(), "uploadUrl", move |asked| {
        let brings_input = ["\"put\"", "\"end\"", "\"wait\"", "\"renew\""]
            .iter()
            .any(|verb| asked.body.contains(verb));
        match (brings_input, fate.below(8)) {
            (true, 0) => Say::LoseAnswer,
            (true, 1) => Say::PassTwice,
            (true, 2) => Say::Answer(String::new()),
            (true, 3) => Say::Answer(
                "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            ),
            (true, 4) => {
                // Others overtake it.
                thread::sleep(Duration::from_millis(300));
                Say::Pass
            }
            _ => Say::Pass,
        }
    });
    let home = Home::with_server(front.url());
    let bytes = random.bytes(1_500_000);
    let mut running = Running::start(&home, &["exec", "-i", "dev", "cat; exit 9"]);
    let mut stdin = running.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = thread::spawn(move || {
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let most = [1, 100, 5_000, 200_000][usize::try_from(random.below(4)).unwrap()];
            let (now, later) = rest.split_at(most.min(rest.len()));
            stdin.write_all(now).unwrap();
            rest = later;
            if random.below(20) == 0 {
                thread::sleep(Duration::from_millis(40));
            }
        }
    });
    let output = running.child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(9), "seed {seed}: {said}");
    assert!(output.stdout == bytes, "seed {seed}: other bytes came back");
    assert_eq!(said, "", "seed {seed}");
}

#[test]
fn requests_that_are_lost_repeated_refused_or_late_change_no_byte() {
    let served = Served::start();
    for seed in 1..=4 {
        goes_there_and_back(&served, seed);
    }
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_request_to_run_that_comes_twice_runs_once() {
    let served = Served::start();
    let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
    let home = Home::with_server(front.url());
    let mut running = Running::start(
        &home,
        &["exec", "-i", "dev", "echo x >>/root/runs; echo up; cat"],
    );
    assert_eq!(running.line(), "up\n");
    // The same request again, as a proxy may send it.
    let again = "mapfile -d '' words </proc/$(cat /dev/shm/.fastvm-stream-*/main)/cmdline; \"${words[@]}\"; echo $?";
    let ran = served
        .client()
        .ok(&["exec", "dev", "--", "bash", "-c", again]);
    assert_eq!(ran, "125");
    running.write("on");
    assert_eq!(running.end().0, "on");
    assert_eq!(served.sh("cat /root/runs"), "x");
}

#[test]
fn busybox_alone_is_enough_and_so_is_an_ordinary_user() {
    let served = Served::start();
    let home = served.client();
    if crate::common::lacks("busybox") {
        return;
    }
    let user = guest_user();
    let mut running = Running::start(&home, &["exec", "-i", "-u", user, "dev", "id -un; cat"]);
    assert_eq!(running.line(), format!("{user}\n"));
    running.write("as a user");
    assert_eq!(running.end(), ("as a user".to_owned(), String::new(), 0));

    served.sh(BUSYBOX_ALONE);
    let shell = "readlink /proc/$$/exe | sed 's#.*/##'; cat; exit 4";
    let mut running = Running::start(&home, &["exec", "-i", "dev", shell]);
    assert_eq!(running.line(), "busybox\n");
    let many = "0123456789abcdef".repeat(20_000);
    running.write(&many);
    let (out, said, code) = running.end();
    assert!(out == many, "{} bytes came back", out.len());
    assert_eq!((said.as_str(), code), ("", 4));
    served.sh("rm /srv/tools/*");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_memory_disk_that_is_full_sends_the_input_another_way() {
    let served = Served::start();
    let home = served.client();
    served.sh("cat /dev/zero >/dev/shm/full 2>/dev/null; true");
    let mut running = Running::start(&home, &["exec", "-i", "dev", "echo up; cat"]);
    assert_eq!(running.line(), "up\n");
    assert_eq!(served.sh("ls -d /tmp/.fastvm-stream-* | wc -l"), "1");
    running.write("there");
    assert_eq!(running.end(), ("there".to_owned(), String::new(), 0));
    served.sh("rm /dev/shm/full");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_command_that_reads_nothing_holds_the_sender_up() {
    let served = Served::start();
    let home = served.client();
    let mut running = Running::start(&home, &["exec", "-i", "dev", "echo up; sleep 600"]);
    assert_eq!(running.line(), "up\n");
    let mut stdin = running.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&vec![b'x'; 64_000_000]).is_err());
    wait_in_vm(&served, "[ $(du -sk /dev/shm | cut -f1) -gt 15000 ]");
    let spooled = served.sh("sleep 1; du -sk /dev/shm | cut -f1");
    assert!(
        spooled.parse::<u64>().unwrap() <= 16 * 1024 + 64,
        "{spooled} KiB"
    );
    signal(&running.child, "TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(143));
    assert!(
        writer.join().unwrap(),
        "64 MB were sent to a command that reads nothing"
    );
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn input_arrives_while_nobody_reads_the_output() {
    let served = Served::start();
    let home = served.client();
    let line = "cat /dev/zero & cat >/root/got; kill $!; wc -c </root/got >/root/size";
    let mut running = Running::start(&home, &["exec", "-i", "dev", line]);
    running.write(vec![b'x'; 10_000_000]);
    drop(running.stdin.take());
    wait_in_vm(&served, "[ \"$(cat /root/size 2>/dev/null)\" = 10000000 ]");
    let mut rest = Vec::new();
    let mut stdout = running.child.stdout.take().unwrap();
    stdout.read_to_end(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == 0));
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_client_that_is_killed_leaves_nothing() {
    let served = Served::start();
    let home = served.client();
    for round in 0..8_u32 {
        let mut running = Running::start(&home, &["exec", "-i", "dev", "echo up; exec sleep 4321"]);
        running.write(vec![b'x'; 100_000]);
        if round % 2 == 0 {
            assert_eq!(running.line(), "up\n");
        } else {
            thread::sleep(Duration::from_millis(u64::from(round) * 9));
        }
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
    wait_in_vm(&served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn signals_reach_the_command_and_a_second_one_ends_it() {
    let served = Served::start();
    let home = served.client();
    let line = "trap 'echo heard; exit 6' TERM; echo up; while read x; do :; done";
    let mut running = Running::start(&home, &["exec", "-i", "dev", line]);
    assert_eq!(running.line(), "up\n");
    signal(&running.child, "TERM");
    // A shell hears it when the program that it waits for ends, or it has read something.
    running.write("\n");
    assert_eq!(running.line(), "heard\n");
    assert_eq!(running.end().2, 6);

    let mut running = Running::start(
        &home,
        &["exec", "-i", "dev", "trap '' INT; echo up; sleep 4321"],
    );
    assert_eq!(running.line(), "up\n");
    signal(&running.child, "INT");
    thread::sleep(Duration::from_millis(300));
    signal(&running.child, "INT");
    assert_eq!(running.end().2, 130);
    wait_in_vm(&served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_time_limit_ends_the_command_and_leaves_nothing() {
    let served = Served::start();
    let home = served.client();
    let limited = ["exec", "-i", "--timeout", "1s", "dev", "sleep 4321"];
    let mut running = Running::start(&home, &limited);
    assert_eq!(running.child.wait().unwrap().code(), Some(124));
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_command_that_is_refused_is_not_said_to_run() {
    let served = Served::start();
    let home = served.client();
    home.ok(&["vm", "pause", "dev"]);
    let refused = "error: VM dev ([..]) is paused\nhint: resume it with `fastvm vm resume dev`\n";
    let running = Running::start(&home, &["exec", "-i", "dev", "cat"]);
    let terminal = home.run(&["exec", "-t", "dev", "true"]);
    for said in [running.end().1, terminal.stderr] {
        assert_data_eq!(said, refused);
    }
}

/// A command on a terminal in the VM, typed to at one here.
fn on_terminal(home: &Home, command: &[&str]) -> Terminal {
    Terminal::run(&mut home.command(&[&["exec", "-it", "dev"], command].concat()))
}

#[test]
fn a_shell_on_a_terminal_has_its_size_its_name_and_its_code() {
    let served = Served::start();
    let mut terminal = on_terminal(&served.client(), &["sh"]);
    terminal.type_in("test -t 0 && test -t 1 && stty size; echo [$TERM] [$FASTVM_STREAM]\r");
    terminal.wait_for("24 80");
    terminal.wait_for("[]");
    resize(&terminal.master, 40, 100);
    signal(&terminal.child, "WINCH");
    terminal.type_in("until [ \"$(stty size)\" = '40 100' ]; do :; done; echo wi''der\r");
    terminal.wait_for("wider");
    terminal.type_in("sh -c 'echo sle\"\"eping; exec sleep 300'\r");
    terminal.wait_for("sleeping");
    terminal.type_in("\x03");
    terminal.type_in("echo af''ter; exit 5\r");
    terminal.wait_for("after");
    assert_eq!((terminal.end(), terminal.is_given_back()), (5, true));
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_terminal_is_left_by_its_keys_and_given_back_when_the_client_ends() {
    let served = Served::start();
    let mut terminal = on_terminal(&served.client(), &["sh"]);
    terminal.type_in("echo re''ady\r");
    terminal.wait_for("ready");
    terminal.type_in("~.");
    assert_eq!((terminal.end(), terminal.is_given_back()), (129, true));
    wait_in_vm(&served, NOTHING_OF_STREAMS);

    let mut terminal = on_terminal(&served.client(), &["echo up; exec cat"]);
    terminal.wait_for("up");
    signal(&terminal.child, "TERM");
    assert_eq!((terminal.end(), terminal.is_given_back()), (143, true));
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn words_of_any_kind_reach_a_command_on_a_terminal() {
    let served = Served::start();
    let home = served.client();
    let odd = ["a b", "it's", "$HOME", "\"", "-n", "", "é\\n", "*"];
    let mut expected = String::new();
    for word in odd {
        let _ = writeln!(expected, "<{word}>\r");
    }
    let command = [&["exec", "-t", "dev", "--", "printf", "<%s>\\n"][..], &odd].concat();
    let ran = home.run(&command);
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        (expected.as_str(), 0),
        "{ran}"
    );
}

#[test]
fn a_terminal_needs_script_or_python() {
    let served = Served::start();
    let home = served.client();
    // A name that is found first and is no program of its own.
    served.sh("printf '#!/bin/sh\\nexit 1\\n' >/srv/tools/script; chmod 755 /srv/tools/script");
    let line = "test -t 0 && echo tty; exit 3";
    let ran = home.run(&["exec", "-t", "dev", line]);
    assert_eq!(
        (ran.stdout.as_str(), ran.code),
        ("tty\r\n", 3),
        "python: {ran}"
    );
    home.ok(&[
        "vm",
        "launch",
        "-n",
        "bare",
        "-e",
        "PATH=/srv/alone",
        "-o",
        "id",
    ]);
    let alone = format!(
        "PATH=/usr/bin:/bin; mkdir /srv/alone; {}",
        BUSYBOX_ALONE.replace("tools", "alone")
    );
    home.ok(&["exec", "bare", "--", "/bin/sh", "-c", &alone]);
    let ran = home.run(&["exec", "-t", "bare", line]);
    assert_eq!(ran.code, 126, "{ran}");
    assert!(
        ran.stderr
            .contains("a terminal needs `script` or `python3`"),
        "{ran}"
    );
}

#[test]
fn a_run_has_a_terminal_and_its_vm_goes() {
    let home = Home::new();
    let mut terminal = Terminal::run(&mut home.command(&["--local", "run", "-it", "--", "sh"]));
    terminal.type_in("stty size; echo re''ady\r");
    terminal.wait_for("ready");
    terminal.type_in("exit 8\r");
    assert_eq!((terminal.end(), terminal.is_given_back()), (8, true));
    assert_eq!(home.ok(&["--local", "ls", "-o", "id"]), "");
}
