//! Ports of this machine that lead into a VM, and the words of a remote shell.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use snapbox::assert_data_eq;

use crate::common::{FaultProxy, Home, Link, Ran, Served, guest_user, lacks, signal};
use crate::live::{NOTHING_OF_STREAMS, wait_in_vm};
use crate::matrix::Random;

/// A server on the loopback of the VM: it sends back what it gets, in capitals, and the number of bytes once there is no more.
const ECHO: &str = r#"
import socket, threading
def serve(peer):
    count = 0
    while data := peer.recv(65536):
        count += len(data)
        peer.sendall(data.upper())
    peer.sendall(b"%d bytes\n" % count)
    peer.close()
server = socket.create_server(("127.0.0.1", 7000), backlog=64)
print("up", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

/// A process that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server in the VM, and what it prints after it is up.
struct Server {
    _running: Running,
    stdout: BufReader<ChildStdout>,
}

/// Starts a server in the VM; `None` where the VM cannot have it.
fn start_server(home: &Home, program: &str) -> Option<Server> {
    if lacks("python3") {
        return None;
    }
    let mut child = home
        .command(&["exec", "dev", "--", "python3", "-uc", program])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    Some(Server {
        _running: Running(child),
        stdout,
    })
}

/// Starts a forward, and returns the ports here.
fn forward(home: &Home, arguments: &[&str], ports: usize) -> (Running, Vec<u16>) {
    let mut child = home
        .command(&[&["forward"], arguments].concat())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines
        .take(ports)
        .map(|line| port_of(&line.unwrap()))
        .collect();
    (Running(child), found)
}

/// The port here in `127.0.0.1:PORT -> dev:…`.
fn port_of(line: &str) -> u16 {
    let (here, _) = line.split_once(" -> ").unwrap();
    here.strip_prefix("127.0.0.1:").unwrap().parse().unwrap()
}

fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let limit = Some(Duration::from_secs(120));
    connection.set_read_timeout(limit).unwrap();
    connection
}

/// Sends text, ends that half, and reads all that comes.
fn ask(port: u16, text: &str) -> String {
    let mut connection = connect(port);
    connection.write_all(text.as_bytes()).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_port_leads_to_the_loopback_of_a_vm_and_each_half_ends_alone() {
    let served = Served::start();
    let home = served.client();
    let Some(_server) = start_server(&home, ECHO) else {
        return;
    };
    let (mut running, ports) = forward(&home, &["dev", "0:7000", "0:localhost:7000"], 2);
    for port in &ports {
        assert_eq!(ask(*port, "hello"), "HELLO5 bytes\n");
    }
    // Many at once, and a large one both ways.
    let port = ports[0];
    let callers: Vec<_> = (0..32)
        .map(|number| thread::spawn(move || ask(port, &format!("caller {number}"))))
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        let text = format!("CALLER {number}");
        assert_eq!(
            caller.join().unwrap(),
            format!("{text}{} bytes\n", text.len())
        );
    }
    let large = "abcdefgh".repeat(500_000);
    let mut connection = connect(port);
    let mut writing = connection.try_clone().unwrap();
    let sent = large.clone();
    let writer = thread::spawn(move || {
        writing.write_all(sent.as_bytes()).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    writer.join().unwrap();
    assert!(
        answer == format!("{}{} bytes\n", large.to_uppercase(), large.len()),
        "{} bytes came back",
        answer.len()
    );
    signal(&running.0, "INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_port_that_nothing_listens_on_is_told_once_and_the_forward_goes_on() {
    let served = Served::start();
    let home = served.client();
    let (mut running, ports) = forward(&home, &["dev", "0:7000"], 1);
    for _ in 0..2 {
        let mut nothing = Vec::new();
        // Reset or closed: there is no answer.
        let _ = connect(ports[0]).read_to_end(&mut nothing);
        assert_eq!(nothing, b"");
    }
    let Some(_server) = start_server(&home, ECHO) else {
        return;
    };
    assert_eq!(ask(ports[0], "now"), "NOW3 bytes\n");
    signal(&running.0, "TERM");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "warning: dev:7000: Connection refused\n");
}

#[test]
fn connections_break_while_a_vm_is_paused_and_come_again_after_it() {
    let served = Served::start();
    let home = served.client();
    let Some(_server) = start_server(&home, ECHO) else {
        return;
    };
    let (mut running, ports) = forward(&home, &["dev", "0:7000"], 1);
    assert_eq!(ask(ports[0], "before"), "BEFORE6 bytes\n");
    home.ok(&["vm", "pause", "dev"]);
    for _ in 0..2 {
        assert!(connect(ports[0]).read(&mut [0]).is_err());
    }
    home.ok(&["vm", "resume", "dev"]);
    assert_eq!(ask(ports[0], "after"), "AFTER5 bytes\n");
    signal(&running.0, "INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_data_eq!(
        said,
        "warning: dev:7000: VM dev ([..]) is paused; resume it with `fastvm vm resume dev`\n"
    );
}

/// A server that sends much before it reads, and in the end says how much it has read.
const TALKER: &str = r#"
import socket, threading
server = socket.create_server(("127.0.0.1", 7000))
print("up", flush=True)
peer = server.accept()[0]
sender = threading.Thread(target=peer.sendall, args=(b"x" * 30000000,))
sender.start()
count = 0
while data := peer.recv(65536):
    count += len(data)
print(count, flush=True)
sender.join()
peer.close()
"#;

#[test]
fn what_is_sent_arrives_while_nobody_reads_what_comes_back() {
    let served = Served::start();
    let home = served.client();
    let Some(mut server) = start_server(&home, TALKER) else {
        return;
    };
    let (_running, ports) = forward(&home, &["dev", "0:7000"], 1);
    let mut connection = connect(ports[0]);
    connection.write_all(&vec![b'y'; 20_000_000]).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut count = String::new();
    server.stdout.read_line(&mut count).unwrap();
    assert_eq!(count, "20000000\n");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), 30_000_000);
}

#[test]
fn a_network_that_stands_still_for_30_s_costs_a_connection_no_byte() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let home = Home::with_server(&wire.url());
    let Some(_server) = start_server(&served.client(), ECHO) else {
        return;
    };
    let (_running, ports) = forward(&home, &["dev", "0:7000"], 1);
    let mut connection = connect(ports[0]);
    let mut writing = connection.try_clone().unwrap();
    let large = "abcdefgh".repeat(1_000_000);
    let sent = large.clone();
    let writer = thread::spawn(move || {
        writing.write_all(sent.as_bytes()).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = vec![0; 2_000_000];
    connection.read_exact(&mut answer).unwrap();
    wire.freeze(true);
    thread::sleep(Duration::from_secs(30));
    wire.freeze(false);
    connection.read_to_end(&mut answer).unwrap();
    writer.join().unwrap();
    let expected = format!("{}{} bytes\n", large.to_uppercase(), large.len());
    assert!(
        answer == expected.as_bytes(),
        "{} bytes came back",
        answer.len()
    );
}

#[test]
fn a_network_that_is_gone_for_30_s_ends_connections_and_not_the_forward() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let home = Home::with_server(&wire.url());
    let Some(_server) = start_server(&served.client(), ECHO) else {
        return;
    };
    let (mut running, ports) = forward(&home, &["dev", "0:7000"], 1);
    let mut connection = connect(ports[0]);
    connection.write_all(b"first").unwrap();
    let mut first = [0; 5];
    connection.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"FIRST");
    wire.take_away(true);
    // It breaks, and does not end as if the server had ended it.
    let error = connection.read(&mut first).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut meanwhile = connect(ports[0]);
    assert!(meanwhile.read(&mut first).is_err());
    thread::sleep(Duration::from_secs(30));
    wire.take_away(false);
    assert_eq!(ask(ports[0], "again"), "AGAIN5 bytes\n");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
    signal(&running.0, "INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

/// Kills forwards at random moments of connections that carry bytes both ways.
fn kills_leave_nothing(kills: u64) {
    let served = Served::start();
    let home = served.client();
    let Some(_server) = start_server(&home, ECHO) else {
        return;
    };
    let mut random = Random::new(kills);
    for _ in 0..kills {
        let (mut running, ports) = forward(&home, &["dev", "0:7000"], 1);
        let connections = [connect(ports[0]), connect(ports[0])];
        let busy = connections.map(|connection| {
            let (mut reading, mut writing) = (connection.try_clone().unwrap(), connection);
            let sends = thread::spawn(move || while writing.write_all(&[b'x'; 50_000]).is_ok() {});
            // They break at some time.
            let reads =
                thread::spawn(move || drop(std::io::copy(&mut reading, &mut std::io::sink())));
            [sends, reads]
        });
        thread::sleep(Duration::from_millis(random.below(600)));
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        for task in busy.into_iter().flatten() {
            task.join().unwrap();
        }
    }
    wait_in_vm(&served, "! pgrep -f 'create_connectio[n]' >/dev/null");
    wait_in_vm(&served, NOTHING_OF_STREAMS);
    let (_running, ports) = forward(&home, &["dev", "0:7000"], 1);
    assert_eq!(ask(ports[0], "after"), "AFTER5 bytes\n");
}

#[test]
fn a_forward_that_is_killed_leaves_nothing() {
    kills_leave_nothing(8);
}

#[test]
#[ignore = "takes minutes, and the one above is a part of it"]
fn a_forward_that_is_killed_100_times_leaves_nothing() {
    kills_leave_nothing(100);
}

#[test]
fn a_forward_ends_with_its_vm() {
    let served = Served::start();
    let home = served.client();
    let (mut running, ports) = forward(&home, &["dev", "0:7000"], 1);
    home.ok(&["vm", "delete", "dev", "--yes", "--quiet"]);
    let _ = connect(ports[0]).read_to_end(&mut Vec::new());
    assert_eq!(running.0.wait().unwrap().code(), Some(3));
    let mut said = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.ends_with(") was deleted\n"), "{said}");
}

#[test]
fn what_cannot_be_forwarded_is_told_before_anything_listens() {
    let served = Served::start();
    let home = served.client();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = home.run(&["forward", "dev", &format!("{port}:80")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran}");
    assert!(ran.stderr.contains("Address already in use"), "{ran}");
    assert!(ran.stderr.contains("a free one with 0:80"), "{ran}");
    for (arguments, code, said) in [
        (&["nobody", "80"][..], 3, "no VM"),
        (
            &["dev", "192.0.2.1:0:80"],
            1,
            "hint: 192.0.2.1 is not an address of this machine",
        ),
        (&["dev", "0"], 2, "cannot be 0"),
        (&["dev"], 2, "PORT"),
        (&["dev", "1:2:3:4:5"], 2, "use PORT"),
        (&["stop", "dev"], 3, "fastvm forward list"),
    ] {
        let ran = home.run(&[&["forward"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}\n{ran}");
        assert!(ran.stderr.contains(said), "{arguments:?}\n{ran}");
    }
    home.ok(&["vm", "pause", "dev"]);
    let paused = home.run(&["forward", "dev", "80"]);
    assert!(paused.stderr.contains("`fastvm vm resume dev`"), "{paused}");
}

#[test]
fn a_forward_in_the_background_is_listed_and_stopped() {
    let served = Served::start();
    let home = served.client();
    let Some(_server) = start_server(&home, ECHO) else {
        return;
    };
    let started = home.run(&["forward", "-d", "dev", "0:7000"]);
    assert_eq!(started.code, 0, "{started}");
    let port = port_of(started.stdout.trim_end());
    assert_eq!(ask(port, "far"), "FAR3 bytes\n");
    let listed = home.run(&["forward", "list", "--json"]).json();
    assert_eq!(listed[0]["vm"], "dev");
    assert_eq!(listed[0]["ports"][0], format!("127.0.0.1:{port} -> 7000"));
    let ran = home.run(&["forward", "-d", "dev", &format!("{port}:7000")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran}");
    home.ok(&["forward", "stop", "dev"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert_eq!(home.ok(&["forward", "list", "--json"]), "[]");

    let started = home.run(&["forward", "-d", "dev", "0:7000"]);
    let pid = home.run(&["forward", "list", "--json"]).json()[0]["pid"].to_string();
    let mut kill = Command::new("kill");
    assert!(kill.args(["-9", &pid]).status().unwrap().success());
    assert_eq!(started.code, 0, "{started}");
    let until_gone = |home: &Home| {
        for _ in 0..600 {
            if home.ok(&["forward", "list", "--json"]) == "[]" {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    };
    assert!(until_gone(&home), "a killed forward is listed");
}

#[test]
fn a_remote_shell_has_the_code_both_streams_and_the_folder_of_the_user() {
    let served = Served::start();
    let home = served.client();
    let ran = home.run(&["rsh", "dev", "pwd;", "echo", "$HOME", ">&2;", "exit", "7"]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str(), ran.code),
        ("/root\n", "/root\n", 7)
    );
    let user = guest_user();
    assert_eq!(home.ok(&["rsh", "-l", user, "dev", "id", "-un"]), user);
    assert_eq!(home.ok(&["rsh", &format!("{user}@dev"), "id -un"]), user);
    assert_eq!(home.ok(&["rsh", "dev", "--", "echo", "--"]), "--");
    let refused = home.run(&["rsh", "-G", "dev"]);
    assert_eq!(refused.code, 2, "{refused}");
}

/// Runs a program of this machine that uses our remote shell.
fn with_rsh(home: &Home, program: &str, arguments: &[&str]) -> Ran {
    let ours = home.command(&[]);
    let fastvm = ours.get_program().to_owned();
    let rsh = format!("{} rsh", fastvm.to_str().unwrap());
    let mut command = Command::new(program);
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .args(arguments)
        .env("GIT_SSH_COMMAND", &rsh)
        .env("RSYNC_RSH", &rsh)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(home.path());
    Ran::of(&command.output().unwrap())
}

#[test]
fn git_pushes_and_clones_through_a_remote_shell() {
    if lacks("git") {
        return;
    }
    let served = Served::start();
    let home = served.client();
    served.sh("git init -q --bare -b main /root/project.git");
    let script = "git init -q -b main here && cd here && seq 200000 >numbers && git add . \
        && git -c user.name=n -c user.email=e@x commit -qm one";
    let made = with_rsh(&home, "sh", &["-c", script]);
    assert_eq!(made.code, 0, "{made}");
    let pushed = with_rsh(
        &home,
        "git",
        &["-C", "here", "push", "-q", "dev:/root/project.git", "main"],
    );
    assert_eq!(pushed.code, 0, "{pushed}");
    let cloned = with_rsh(
        &home,
        "git",
        &["clone", "-q", "dev:/root/project.git", "there"],
    );
    assert_eq!(cloned.code, 0, "{cloned}");
    let numbers = |folder: &str| std::fs::read(home.join(folder).join("numbers")).unwrap();
    assert!(numbers("here") == numbers("there"), "the clone differs");
}

#[test]
fn rsync_goes_both_ways_through_a_remote_shell() {
    if lacks("rsync") {
        return;
    }
    let served = Served::start();
    let home = served.client();
    let script = "mkdir -p here/a/b && seq 300000 >here/a/numbers && for i in $(seq 500); do echo $i >here/a/b/$i; done; ln -s numbers here/a/link";
    assert_eq!(with_rsh(&home, "sh", &["-c", script]).code, 0);
    let there = with_rsh(&home, "rsync", &["-a", "here/", "dev:/root/there/"]);
    assert_eq!(there.code, 0, "{there}");
    std::fs::remove_file(home.join("here/a/b/7")).unwrap();
    std::fs::write(home.join("here/a/b/8"), "changed").unwrap();
    let again = with_rsh(
        &home,
        "rsync",
        &["-a", "--delete", "here/", "dev:/root/there/"],
    );
    assert_eq!(again.code, 0, "{again}");
    let back = with_rsh(&home, "rsync", &["-a", "dev:/root/there/", "back/"]);
    assert_eq!(back.code, 0, "{back}");
    let same = with_rsh(&home, "diff", &["-r", "--no-dereference", "here", "back"]);
    assert_eq!(same.code, 0, "{same}");
}
