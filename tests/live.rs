//! Input that goes on while the command runs, and commands on a terminal.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin};
use std::thread;
use std::time::Duration;

use snapbox::assert_data_eq;

use crate::common::terminal::{Terminal, resize};
use crate::common::{FaultProxy, Front, Home, Link, Ran, Say, Served, guest_user, signal, skip};
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
    // A stream whose client is not heard of lives on for a minute.
    let line = format!(
        "for i in $(seq 1200); do if {condition}; then echo yes; exit; fi; sleep 0.1; done"
    );
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

/// Kills clients at random moments of commands that read and write all the time.
fn kills_leave_nothing(kills: u64) {
    let served = Served::start();
    let home = served.client();
    let mut random = Random::new(kills);
    for _ in 0..kills {
        let line = "sleep 4321 & cat; wait";
        let mut running = Running::start(&home, &["exec", "-i", "dev", line]);
        let mut stdin = running.stdin.take().unwrap();
        let mut stdout = running.child.stdout.take().unwrap();
        let sends = thread::spawn(move || while stdin.write_all(&[b'x'; 50_000]).is_ok() {});
        let reads = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        thread::sleep(Duration::from_millis(random.below(600)));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        sends.join().unwrap();
        reads.join().unwrap().unwrap();
    }
    wait_in_vm(&served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_client_that_is_killed_leaves_nothing() {
    kills_leave_nothing(8);
}

#[test]
#[ignore = "takes minutes, and the one above is a part of it"]
fn a_client_that_is_killed_100_times_leaves_nothing() {
    kills_leave_nothing(100);
}

#[test]
fn a_command_whose_client_is_killed_can_tidy_up_and_sees_no_end_of_its_input() {
    let served = Served::start();
    let home = served.client();
    let tidies = "trap 'echo heard >/root/heard; exit' HUP; echo up; while read -r line; do :; done; echo end >/root/end";
    let stays = "trap '' HUP; echo up; cat >/dev/null; echo end >/root/end";
    for line in [tidies, stays] {
        let mut running = Running::start(&home, &["exec", "-i", "dev", line]);
        assert_eq!(running.line(), "up\n");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        wait_in_vm(&served, NOTHING_OF_STREAMS);
    }
    assert_eq!(served.sh("cat /root/heard; ls /root"), "heard\nheard");
}

#[test]
fn a_client_that_is_gone_with_its_network_is_missed_and_leaves_nothing() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let home = Home::with_server(&wire.url());
    let mut running = Running::start(&home, &["exec", "-i", "dev", "echo up; exec sleep 4321"]);
    running.write(vec![b'x'; 100_000]);
    assert_eq!(running.line(), "up\n");
    // The server hears nothing of its end.
    wire.freeze(true);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    assert_eq!(served.sh("pgrep -fxc 'sleep 4321'"), "1");
    wait_in_vm(&served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_network_that_stands_still_for_30_s_changes_no_byte() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let home = Home::with_server(&wire.url());
    let mut running = Running::start(&home, &["exec", "-i", "dev", "cat; exit 9"]);
    let mut stdin = running.stdin.take().unwrap();
    let bytes = Random::new(30).bytes(20_000_000);
    let (first, second) = bytes.split_at(10_000_000);
    let (first, second) = (first.to_vec(), second.to_vec());
    let writer = thread::spawn(move || {
        stdin.write_all(&first).unwrap();
        stdin.write_all(&second).unwrap();
    });
    let mut stdout = running.child.stdout.take().unwrap();
    let mut back = vec![0; 3_000_000];
    stdout.read_exact(&mut back).unwrap();
    wire.freeze(true);
    thread::sleep(Duration::from_secs(30));
    wire.freeze(false);
    stdout.read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    let ran = Ran::of(&running.child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (9, ""));
    assert!(back == bytes, "{} bytes came back", back.len());
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn a_network_that_goes_ends_the_command_with_125_and_leaves_nothing() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let home = Home::with_server(&wire.url());
    let mut running = Running::start(&home, &["exec", "-i", "dev", "echo up; exec sleep 4321"]);
    running.write("input");
    assert_eq!(running.line(), "up\n");
    wire.take_away(true);
    // It is tried for a while to end the command, which is not certain then.
    let (_, said, code) = running.end();
    assert_eq!(code, 125, "{said}");
    wait_in_vm(&served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn input_waits_where_all_of_it_has_room() {
    let served = Served::start();
    served.sh("mount -t tmpfs -o size=3m,mode=1777 small /dev/shm; mount -t tmpfs -o size=1m,mode=1777 small /tmp; cat /dev/zero >/tmp/full 2>/dev/null; true");
    let bytes = Random::new(5).bytes(12_000_000);
    let mut running = Running::start(
        &served.client(),
        &["exec", "-i", "dev", "echo up; sleep 1; cat"],
    );
    assert_eq!(running.line(), "up\n");
    let mut stdin = running.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = thread::spawn(move || stdin.write_all(&sent).unwrap());
    assert_eq!(served.sh("ls -d /var/tmp/.fastvm-stream-* | wc -l"), "1");
    let output = running.child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
    writer.join().unwrap();
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn input_that_has_no_room_anywhere_ends_the_command_with_125() {
    let served = Served::start();
    served.sh("for folder in /dev/shm /tmp /var/tmp /root; do mount -t tmpfs -o size=3m,mode=1777 small $folder; done");
    let mut running = Running::start(&served.client(), &["exec", "-i", "dev", "sleep 4321"]);
    let mut stdin = running.stdin.take().unwrap();
    // It breaks once the command is given up.
    let writer = thread::spawn(move || drop(stdin.write_all(&vec![b'x'; 12_000_000])));
    let (_, said, code) = running.end();
    assert_eq!(code, 125, "{said}");
    assert!(
        said.contains("the VM cannot take the command's input"),
        "{said}"
    );
    assert!(said.contains("No space left on device"), "{said}");
    writer.join().unwrap();
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
fn the_programs_that_a_terminal_is_for_run_in_it() {
    for program in ["vim", "less", "top", "htop", "tmux", "python3"] {
        if crate::common::lacks(program) {
            return;
        }
    }
    let served = Served::start();
    let home = served.client();
    served.sh("seq 400 >/root/numbers");
    let play = |command: &[&str], steps: &[(&str, &str)]| {
        let mut terminal = on_terminal(&home, command);
        for (shows, keys) in steps {
            terminal.wait_for(shows);
            terminal.type_in(keys);
        }
        let code = terminal.end();
        assert!(terminal.is_given_back(), "{command:?}");
        code
    };
    let vim = ["vim", "-u", "NONE", "/root/numbers"];
    assert_eq!(
        play(&vim, &[("400 lines", "Otyped\x1b"), ("typed", ":wq\r")]),
        0
    );
    assert_eq!(served.sh("head -1 /root/numbers"), "typed");
    assert_eq!(
        play(
            &["less", "/root/numbers"],
            &[("typed", "G"), ("(END)", "q")]
        ),
        0
    );
    assert_eq!(play(&["top"], &[("PID USER", "q")]), 0);
    assert_eq!(play(&["htop"], &[("F10", "q")]), 0);
    let tmux = ["tmux", "-f", "/dev/null", "new", "-s", "work", "sh"];
    let steps = [
        ("[work]", "echo ins''ide\r"),
        ("inside", "exit\r"),
        ("[exited]", ""),
    ];
    assert_eq!(play(&tmux, &steps), 0);
    let steps = [(">>>", "6 * 7\r"), ("42", "exit(3)\r")];
    assert_eq!(play(&["python3", "-q"], &steps), 3);
    wait_in_vm(&served, NOTHING_OF_STREAMS);
}

#[test]
fn sudo_has_the_terminal_of_its_command() {
    if guest_user() == "root" {
        skip("VMs of an ordinary user have no user but root");
        return;
    }
    if crate::common::lacks("sudo") {
        return;
    }
    let served = Served::start();
    let line = "sudo -u nobody sh -c 'id -un; test -t 0 && test -t 1 && stty size; exit 6'";
    let mut terminal = on_terminal(&served.client(), &[line]);
    terminal.wait_for("nobody");
    terminal.wait_for("24 80");
    assert_eq!((terminal.end(), terminal.is_given_back()), (6, true));
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
