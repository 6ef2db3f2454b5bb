//! OpenSSH, and what uses it, on VMs: `fastvm ssh`, `ssh setup`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use snapbox::{assert_data_eq, str};

use crate::common::terminal::{Terminal, resize};
use crate::common::{Home, Ran, Served, lacks, missing, signal, skip};
use crate::live::{NOTHING_OF_STREAMS, wait_in_vm};
use crate::matrix::Random;

/// A home where `ssh setup` was done, and an engine with the VM `dev`.
struct Machine {
    served: Served,
    home: Home,
}

impl Machine {
    /// `None` where there is no OpenSSH.
    fn start() -> Option<Self> {
        if lacks("ssh") {
            return None;
        }
        let served = Served::start();
        let home = served.client();
        home.ok(&["ssh", "setup"]);
        Some(Self { served, home })
    }

    /// A program of OpenSSH, or one that is told to use it, with the home as its own.
    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        for (name, value) in self.home.command(&[]).get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// `ssh`, `scp` or `sftp`, which look for their configuration where the system says the home is.
    fn openssh(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.program(program);
        command.arg("-F").arg(self.home.join(".ssh/config"));
        command.args(arguments);
        command
    }

    fn ssh(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.openssh("ssh", arguments).output().unwrap())
    }

    /// Runs `ssh` with input, and returns its output.
    fn ssh_with(&self, arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
        let mut child = self
            .openssh("ssh", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // What nobody reads is a matter of the test.
        let writer = thread::spawn(move || stdin.write_all(&input).unwrap_or_default());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.stdout
    }

    /// Whether the VM has a program; where it has not, the test says that it does not run.
    fn vm_lacks(&self, path: &str) -> bool {
        let lacks = self
            .served
            .sh(&format!("command -v {path} >/dev/null || echo none"))
            == "none";
        if lacks {
            missing(&format!("the VM has no {path}"));
        }
        lacks
    }
}

/// A process that is ended with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes that look random.
fn bytes(count: usize) -> Vec<u8> {
    Random::new(1).bytes(count)
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_command_has_its_input_its_output_and_its_exit_code() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let ran = machine.ssh(&["dev.fastvm", "echo out; echo err >&2; pwd; exit 7"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
out
/root
--- stderr
err
--- exit 7
"#]]
    );
    // More than fits on the way, both ways at once.
    let sent = bytes(40_000_000);
    assert!(machine.ssh_with(&["dev.fastvm", "cat"], sent.clone()) == sent);
    let many = bytes(5_000_000);
    let counted = machine.ssh_with(&["dev.fastvm", "wc -c; exit 3"], many);
    assert_eq!(String::from_utf8(counted).unwrap(), "5000000\n");
    let zeros = machine.ssh(&["dev.fastvm", "head -c 50000000 /dev/zero | tr '\\0' x"]);
    assert_eq!((zeros.stdout.len(), zeros.code), (50_000_000, 0));
    assert!(zeros.stdout.bytes().all(|byte| byte == b'x'));
    wait_in_vm(&machine.served, NOTHING_OF_STREAMS);
}

#[test]
fn new_keys_in_the_middle_change_no_byte() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let sent = bytes(12_000_000);
    let arguments = ["-o", "RekeyLimit=1M", "dev.fastvm", "cat"];
    assert!(machine.ssh_with(&arguments, sent.clone()) == sent);
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut terminal = Terminal::run(&mut machine.openssh("ssh", &["-tt", "dev.fastvm"]));
    terminal.type_in("stty size; echo $TERM re''ady\r");
    terminal.wait_for("24 80");
    terminal.wait_for("xterm-256color ready");
    resize(&terminal.master, 30, 100);
    signal(&terminal.child, "WINCH");
    terminal.type_in("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo re''sized\r");
    terminal.wait_for("resized");
    terminal.type_in("exit 9\r");
    assert_eq!((terminal.end(), terminal.is_given_back()), (9, true));
}

#[test]
fn the_user_and_the_language_are_those_that_the_client_says() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let line = "id -un; echo $LC_TIME $PATHS";
    let mut ssh = machine.openssh("ssh", &["-o", "SendEnv=PATHS", "dev.fastvm", line]);
    ssh.env("LC_TIME", "C").env("PATHS", "not taken");
    assert_eq!(Ran::of(&ssh.output().unwrap()).stdout, "root\nC\n");
    let ran = machine.ssh(&["nobody-knows@dev.fastvm", "id"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
fastvm: there is no user nobody-knows in the VM
--- exit 126
"#]]
    );
}

/// Copies with scp and sftp, both ways.
fn copy_with_scp_and_sftp(machine: &Machine) {
    let home = &machine.home;
    fs::create_dir_all(home.join("tree/a/b")).unwrap();
    fs::write(home.join("tree/a/b/with space"), "text").unwrap();
    fs::write(home.join("tree/empty"), "").unwrap();
    fs::write(home.join("tree/program"), bytes(100_000)).unwrap();
    let mode = fs::Permissions::from_mode(0o751);
    fs::set_permissions(home.join("tree/program"), mode).unwrap();
    // The second time it is there already.
    for (from, to) in [
        ("tree", "dev.fastvm:copy"),
        ("dev.fastvm:copy", "back"),
        ("tree/program", "dev.fastvm:copy/program"),
    ] {
        let ran = machine
            .openssh("scp", &["-q", "-r", "-p", from, to])
            .output();
        assert_eq!(Ran::of(&ran.unwrap()).to_string(), "--- exit 0");
    }
    assert_eq!(fs::read(home.join("back/a/b/with space")).unwrap(), b"text");
    assert_eq!(fs::read(home.join("back/empty")).unwrap(), b"");
    let (program, sent) = (home.join("back/program"), home.join("tree/program"));
    assert_eq!(fs::read(&program).unwrap(), bytes(100_000));
    let (got, sent) = (program.metadata().unwrap(), sent.metadata().unwrap());
    assert_eq!((got.mode(), got.mtime()), (sent.mode(), sent.mtime()));

    fs::write(home.join("large"), bytes(20_000_000)).unwrap();
    let ran = sftp(
        machine,
        "put large /root/large\nget /root/large larger\nget large again\n",
    );
    assert_eq!(ran.code, 0, "{ran}");
    // It takes a short answer for the end of a file.
    let arguments = ["-q", "dev.fastvm:large", "copied"];
    let ran = Ran::of(&machine.openssh("scp", &arguments).output().unwrap());
    assert_eq!(ran.code, 0, "{ran}");
    for copy in ["larger", "again", "copied"] {
        assert!(fs::read(home.join(copy)).unwrap() == bytes(20_000_000));
    }
}

/// Runs lines of `sftp`, which end with the first that fails.
fn sftp(machine: &Machine, lines: &str) -> Ran {
    fs::write(machine.home.join("batch"), lines).unwrap();
    let ran = machine
        .openssh("sftp", &["-q", "-b", "batch", "dev.fastvm"])
        .output();
    Ran::of(&ran.unwrap())
}

#[test]
fn folders_and_files_are_copied_by_scp_and_sftp() {
    let Some(machine) = Machine::start() else {
        return;
    };
    if !machine.vm_lacks("/usr/lib/openssh/sftp-server") {
        copy_with_scp_and_sftp(&machine);
    }
}

/// Takes the VM's `sftp-server` away. False where that is not possible.
fn hide_sftp_server(machine: &Machine) -> bool {
    let hide = "for server in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/sftp-server /usr/lib/sftp-server; do [ ! -x $server ] || chmod a-x $server || { echo no; break; }; done 2>/dev/null";
    let is_hidden = machine.served.sh(hide) != "no";
    if !is_hidden {
        skip("an ordinary user cannot take the VM's sftp-server away");
    }
    is_hidden
}

#[test]
fn folders_and_files_are_copied_with_a_vm_that_has_no_sftp_server() {
    let Some(machine) = Machine::start() else {
        return;
    };
    if hide_sftp_server(&machine) {
        copy_with_scp_and_sftp(&machine);
    }
}

#[test]
fn files_are_worked_on_in_a_vm_that_has_no_sftp_server() {
    let Some(machine) = Machine::start() else {
        return;
    };
    if !hide_sftp_server(&machine) {
        return;
    }
    machine.served.sh("mkdir /root/work; cd /root/work; printf 1234 >file; printf 'odd' >\"$(printf 'a\\nb\\377')\"; mkfifo fifo");
    let ran = sftp(
        &machine,
        "cd work\nmkdir folder\nchmod 700 folder\nln file folder/hard\nln -s ../file folder/soft\nrename file moved\n-rename moved folder\nchmod 600 moved\nls -1 folder\npwd\n",
    );
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
sftp> cd work
sftp> mkdir folder
sftp> chmod 700 folder
sftp> ln file folder/hard
sftp> ln -s ../file folder/soft
sftp> rename file moved
sftp> -rename moved folder
sftp> chmod 600 moved
sftp> ls -1 folder
folder/hard
folder/soft
sftp> pwd
Remote working directory: /root/work
--- stderr
remote rename "/root/work/moved" to "/root/work/folder": Failure
--- exit 0
"#]]
    );
    assert_eq!(
        machine
            .served
            .sh("cd /root/work; stat -c '%A %h %N' folder moved folder/*; cat folder/hard"),
        "drwx------ 2 'folder'\n-rw------- 2 'moved'\n-rw------- 2 'folder/hard'\nlrwxrwxrwx 1 'folder/soft' -> '../file'\n1234"
    );
    // What goes on where a part is there already.
    fs::write(machine.home.join("file"), "123456789").unwrap();
    let ran = sftp(
        &machine,
        "cd work\nreput file moved\nrm folder/soft\nrm folder/hard\nrmdir folder\n",
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(
        machine.served.sh("cd /root/work; cat moved; ls | wc -l"),
        "1234567894"
    );
    for (line, said) in [
        ("get none", "File \"/root/work/none\" not found."),
        ("get fifo", "not a regular file"),
        ("rm folder/none", "No such file or directory"),
        ("rmdir .", "Failure"),
        ("put file none/file", "No such file or directory"),
        ("put file .", ""),
        ("ls none", "not found"),
    ] {
        let ran = sftp(&machine, &format!("cd work\n{line}\n"));
        assert!(ran.stderr.contains(said), "{line}: {ran}");
        assert_eq!(ran.code, i32::from(!said.is_empty()), "{line}: {ran}");
    }
    // A user of the VM is held to what it may do.
    if crate::common::guest_user() != "root" {
        let user = format!("User={}", crate::common::guest_user());
        fs::write(machine.home.join("batch"), "put file /root/theirs\n").unwrap();
        let arguments = ["-q", "-o", &user, "-b", "batch", "dev.fastvm"];
        let ran = Ran::of(&machine.openssh("sftp", &arguments).output().unwrap());
        assert!(ran.stderr.contains("Permission denied"), "{ran}");
        assert_eq!(ran.code, 1, "{ran}");
    }
    wait_in_vm(&machine.served, NOTHING_OF_STREAMS);
}

/// A client of SFTP that says what it is told to.
struct RawSftp {
    child: Child,
    count: u32,
}

/// Numbers of the protocol.
const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
const EXTENDED: u8 = 200;

fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

impl RawSftp {
    fn start(machine: &Machine) -> Self {
        let mut child = machine
            .openssh("ssh", &["-s", "dev.fastvm", "sftp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let hello = [0, 0, 0, 5, 1, 0, 0, 0, 3];
        child.stdin.as_mut().unwrap().write_all(&hello).unwrap();
        let mut client = Self { child, count: 0 };
        assert_eq!(client.answer()[..5], [2, 0, 0, 0, 3]);
        client
    }

    fn answer(&mut self) -> Vec<u8> {
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        stdout.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stdout.read_exact(&mut answer).unwrap();
        answer
    }

    /// Asks, and returns the kind of the answer with what follows its number.
    fn ask(&mut self, kind: u8, parts: &[&[u8]]) -> (u8, Vec<u8>) {
        self.count += 1;
        let mut packet = vec![kind];
        packet.extend_from_slice(&self.count.to_be_bytes());
        packet.extend(parts.concat());
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(&string(packet)).unwrap();
        let answer = self.answer();
        assert_eq!(answer[1..5], self.count.to_be_bytes());
        (answer[0], answer[5..].to_vec())
    }

    /// The code of an answer that is a status.
    fn code(&mut self, kind: u8, parts: &[&[u8]]) -> u32 {
        let (kind, answer) = self.ask(kind, parts);
        assert_eq!(kind, 101);
        u32::from_be_bytes(answer[..4].try_into().unwrap())
    }

    /// Opens a file, and returns its handle as requests have it.
    fn open(&mut self, path: &str, flags: u32) -> Vec<u8> {
        let (kind, handle) = self.ask(3, &[&string(path), &flags.to_be_bytes(), &[0; 4]]);
        assert_eq!(kind, 102, "{path}");
        handle
    }

    fn write(&mut self, handle: &[u8], offset: u64, bytes: &str) -> u32 {
        self.code(WRITE, &[handle, &offset.to_be_bytes(), &string(bytes)])
    }

    /// Reads; an error of its code if there is nothing.
    fn read(&mut self, handle: &[u8], offset: u64) -> Result<String, u32> {
        let length = 100_u32.to_be_bytes();
        let (kind, answer) = self.ask(READ, &[handle, &offset.to_be_bytes(), &length]);
        match kind {
            103 => Ok(String::from_utf8(answer[4..].to_vec()).unwrap()),
            _ => Err(u32::from_be_bytes(answer[..4].try_into().unwrap())),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> u32 {
        let name = string("posix-rename@openssh.com");
        self.code(EXTENDED, &[&name, &string(from), &string(to)])
    }
}

impl Drop for RawSftp {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[test]
fn handles_of_a_file_see_each_other_and_follow_it_where_there_is_no_sftp_server() {
    let Some(machine) = Machine::start() else {
        return;
    };
    if !hide_sftp_server(&machine) {
        return;
    }
    let mut client = RawSftp::start(&machine);
    // Reading, writing, creating.
    let (one, two) = (client.open("f", 1 | 2 | 8), client.open("f", 1 | 2));
    assert_eq!(client.write(&one, 0, "AAAA"), 0);
    assert_eq!(client.read(&two, 0).unwrap(), "AAAA");
    assert_eq!(client.write(&two, 0, "BB"), 0);
    assert_eq!(client.read(&one, 0).unwrap(), "BBAA");
    assert_eq!(client.read(&one, 4), Err(1));
    assert_eq!(client.write(&two, 4, "more"), 0);
    assert_eq!(client.read(&one, 4).unwrap(), "more");
    machine.served.sh("printf ' and more' >>/root/f");
    assert_eq!(client.read(&one, 8).unwrap(), " and more");

    assert_eq!(client.write(&one, 0, "CC"), 0);
    assert_eq!(client.rename("f", "g"), 0);
    assert_eq!(client.write(&one, 2, "DD"), 0);
    assert_eq!(client.code(CLOSE, &[&one]), 0);
    assert_eq!(client.code(CLOSE, &[&two]), 0);
    assert_eq!(
        machine
            .served
            .sh("cd /root; cat g; ls -d f 2>/dev/null || :"),
        "CCDDmore and more"
    );

    // What is no place in a file, and what the file was not opened for.
    let file = client.open("g", 1);
    for offset in [u64::MAX, u64::MAX - 4, 1 << 63] {
        assert_eq!(client.read(&file, offset), Err(5), "{offset}");
    }
    assert_eq!(client.write(&file, 0, "no"), 3);
    let file = client.open("g", 2);
    assert_eq!(client.write(&file, u64::MAX, "no"), 5);
    assert_eq!(client.write(&file, 0, "EE"), 0);
    assert_eq!(client.read(&file, 0), Err(3));
    assert_eq!(client.code(CLOSE, &[&file]), 0);

    // As rename(2).
    machine
        .served
        .sh("cd /root; mkdir empty; mkdir -p full/sub; ln g h; mkdir other");
    assert_eq!(client.rename("empty", "empty"), 0);
    assert_ne!(client.rename("full", "full/sub"), 0);
    assert_eq!(client.rename("g", "h"), 0);
    assert_ne!(client.rename("g", "empty"), 0);
    assert_eq!(client.rename("full", "other"), 0);
    assert_eq!(
        machine
            .served
            .sh("cd /root; ls -d empty full full/sub other/sub g h 2>/dev/null | tr '\\n' ' '"),
        "empty g h other/sub "
    );
}

#[test]
fn a_command_whose_output_nobody_takes_any_more_ends() {
    let Some(machine) = Machine::start() else {
        return;
    };
    for (line, said, code) in [
        ("yes", "y\n", 141),
        // It hears of it when it goes on after a while.
        ("seq 2; sleep 4; yes", "1\n", 141),
        // It does not end by SIGPIPE.
        ("trap '' PIPE; yes 2>/dev/null", "y\n", 137),
        // One that has said all goes on.
        ("seq 2; sleep 2; echo done >/root/done", "1\n", 0),
    ] {
        let script =
            "ssh -F \"$HOME/.ssh/config\" dev.fastvm \"$1\" | head -n 1; echo ${PIPESTATUS[0]}";
        let output = machine
            .program("bash")
            .args(["-c", script, "bash", line])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, format!("{said}{code}\n"), "{line}");
    }
    assert_eq!(machine.served.sh("cat /root/done"), "done");
    wait_in_vm(&machine.served, NOTHING_OF_STREAMS);
}

#[test]
fn setup_is_found_with_other_settings_and_mends_what_ssh_would_refuse() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let elsewhere = machine
        .openssh("ssh", &["dev.fastvm", "echo here"])
        .env("XDG_CONFIG_HOME", machine.home.join("elsewhere"))
        .output()
        .unwrap();
    assert_eq!(Ran::of(&elsewhere).stdout, "here\n", "{elsewhere:?}");
    assert!(!machine.home.join("elsewhere").exists());

    let folder = machine.home.ok(&["config", "path"]);
    let config = Path::new(&folder).with_file_name("ssh").join("config");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(machine.ssh(&["dev.fastvm", "true"]).code, 255);
    machine.home.ok(&["ssh", "setup"]);
    assert_eq!(machine.ssh(&["dev.fastvm", "true"]).code, 0);

    // A VM whose name ends as a context is called.
    machine.home.ok(&[
        "context",
        "create",
        "eu",
        "--base-url",
        "http://127.0.0.1:9",
    ]);
    machine
        .home
        .ok(&["vm", "update", "dev", "--name", "dev.eu"]);
    assert_eq!(
        machine.ssh(&["dev.eu.fastvm", "echo here"]).stdout,
        "here\n"
    );
}

/// An answer of a server in the VM by way of a port here.
fn answer_of(port: &str, begin: &[u8], expected: &str) {
    for _ in 0..200 {
        let mut answer = String::new();
        if let Ok(mut connection) = std::net::TcpStream::connect(format!("127.0.0.1:{port}")) {
            let asked = connection.write_all(begin);
            if asked.is_ok()
                && connection.read_to_string(&mut answer).is_ok()
                && answer.ends_with(expected)
            {
                return;
            }
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("no answer on port {port}");
}

#[test]
fn ports_here_lead_into_the_vm_and_none_is_open_there() {
    let Some(machine) = Machine::start() else {
        return;
    };
    if machine.vm_lacks("python3") {
        return;
    }
    let listening = "cat /proc/net/tcp* | awk '$4 == \"0A\" { print $2 }' | sort";
    let before = machine.served.sh(listening);
    let during = machine.ssh(&["dev.fastvm", listening]);
    assert_eq!(
        (during.stdout.trim_end(), during.code),
        (before.as_str(), 0)
    );

    machine.served.sh("mkdir /root/web; cd /root/web; echo page >index.html; python3 -m http.server 8181 --bind 127.0.0.1 >/dev/null 2>&1 & for i in $(seq 100); do grep -q ':1FF5 ' /proc/net/tcp && break; sleep 0.1; done");
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let (local, dynamic) = (free_port(), free_port());
    let forward = format!("127.0.0.1:{local}:127.0.0.1:8181");
    let ssh = machine
        .openssh("ssh", &["-N", "-L", &forward, "-D", &dynamic, "dev.fastvm"])
        .spawn()
        .unwrap();
    let ssh = Background(ssh);
    answer_of(&local, request, "page\n");
    // SOCKS 5 without a login, then a connection with 127.0.0.1:8181.
    let mut connection = std::net::TcpStream::connect(format!("127.0.0.1:{dynamic}")).unwrap();
    connection.write_all(b"\x05\x01\x00").unwrap();
    connection.read_exact(&mut [0; 2]).unwrap();
    let target = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x1f\xf5";
    connection.write_all(target).unwrap();
    connection.read_exact(&mut [0; 10]).unwrap();
    connection.write_all(request).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(b"page\n"), "{answer:?}");
    drop(ssh);

    let said = machine.ssh_with(&["-W", "127.0.0.1:8181", "dev.fastvm"], request.to_vec());
    assert!(said.ends_with(b"page\n"));
    let refused = machine.ssh(&["-W", "127.0.0.1:1", "dev.fastvm"]);
    assert_data_eq!(
        refused.stderr,
        str![[r#"
warning: 127.0.0.1:1: Connection refused

"#]]
    );
}

#[test]
fn what_would_have_to_listen_in_the_vm_is_refused_in_one_line() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let ran = machine.ssh(&["-R", "8099:127.0.0.1:80", "dev.fastvm", "echo done"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
done
--- stderr
warning: -R is not possible: nothing of fastvm listens in a VM; -L, -D and -W are
Warning: remote port forwarding failed for listen port 8099
--- exit 0
"#]]
    );
    if !lacks("ssh-agent") {
        let line = "exec ssh -F \"$HOME/.ssh/config\" -A dev.fastvm 'echo done'";
        let ran = machine
            .program("ssh-agent")
            .args(["sh", "-c", line])
            .output()
            .unwrap();
        assert_data_eq!(
            Ran::of(&ran).to_string(),
            str![[r#"
done
--- stderr
warning: the agent is not forwarded: nothing of fastvm listens in a VM
--- exit 0
"#]]
        );
    }
}

#[test]
fn an_editor_starts_its_server_by_a_script_for_bash() {
    let Some(machine) = Machine::start() else {
        return;
    };
    // What the log of VS Code's Remote-SSH shows: `ssh -T -D PORT HOST bash`, and a script on standard input.
    let script = "echo \"$0 starts\"\nuname -s\nmkdir -p ~/.server && cd ~/.server\n(sleep 600 >/dev/null 2>&1 &)\necho 'listeningOn==1234=='\nexit 0\n";
    let arguments = ["-T", "-D", &free_port(), "dev.fastvm", "bash"];
    let said = machine.ssh_with(&arguments, script.into());
    assert_data_eq!(
        String::from_utf8(said).unwrap(),
        str![[r#"
bash starts
Linux
listeningOn==1234==

"#]]
    );
    // The server that it leaves goes on.
    assert_eq!(machine.served.sh("pgrep -c -f 'sleep 60[0]'"), "1");
}

#[test]
fn a_command_that_does_not_read_holds_up_no_other_of_its_connection() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let way = format!("ControlPath={}", machine.home.join("way").display());
    let master = machine
        .openssh("ssh", &["-o", &way, "-M", "-N", "dev.fastvm"])
        .spawn()
        .unwrap();
    let master = Background(master);
    while machine.ssh(&["-o", &way, "-O", "check", "dev.fastvm"]).code != 0 {
        thread::sleep(std::time::Duration::from_millis(50));
    }
    let stuck = machine
        .openssh(
            "ssh",
            &["-o", &way, "dev.fastvm", "echo up >&2; exec sleep 4321"],
        )
        .stdin(fs::File::open("/dev/zero").unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let stuck = Background(stuck);
    wait_in_vm(&machine.served, "pgrep -f 'sleep 432[1]' >/dev/null");
    for _ in 0..20 {
        let ran = machine.ssh(&["-o", &way, "dev.fastvm", "echo ok"]);
        assert_eq!(ran.to_string(), "ok\n--- exit 0");
    }
    drop((stuck, master));
    wait_in_vm(&machine.served, "! pgrep -f 'sleep 432[1]' >/dev/null");
}

#[test]
fn a_client_that_is_killed_or_interrupted_leaves_nothing() {
    let Some(machine) = Machine::start() else {
        return;
    };
    for name in ["KILL", "INT", "HUP", "TERM"] {
        // Whoever runs the tests in the background ignores some, and ssh then does, too.
        let mut ssh = machine
            .program("env")
            .args(["--default-signal", "ssh", "-F", ".ssh/config"])
            .args(["dev.fastvm", "echo up; exec sleep 4321"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        ssh.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        signal(&ssh, name);
        ssh.wait().unwrap();
    }
    wait_in_vm(&machine.served, "! pgrep -f 'sleep 432[1]' >/dev/null");
    wait_in_vm(&machine.served, NOTHING_OF_STREAMS);
}

#[test]
fn a_vm_that_is_made_anew_raises_no_alarm_and_trusts_no_other_key() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let known = machine.home.join(".config/fastvm/ssh/known_hosts");
    let before = fs::read(&known).unwrap();
    for _ in 0..2 {
        let ran = machine.ssh(&["dev.fastvm", "echo ok"]);
        assert_eq!(ran.to_string(), "ok\n--- exit 0");
        machine.home.ok(&["rm", "dev", "--yes", "--quiet"]);
        let launch = ["launch", "-n", "dev", "--quiet", "--no-console"];
        machine.home.ok(&launch);
    }
    assert_eq!(fs::read(&known).unwrap(), before);

    // A key that is good, but not the one.
    let folder = machine.home.join(".config/fastvm/ssh");
    let config = fs::read_to_string(folder.join("config")).unwrap();
    let other = config.replace("client_key", "host_key");
    fs::write(folder.join("config"), other).unwrap();
    let ran = machine.ssh(&["dev.fastvm", "echo ok"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
root@dev.fastvm: Permission denied (publickey).
--- exit 255
"#]]
    );
}

#[test]
fn a_vm_that_is_not_there_or_paused_is_said_and_nothing_goes_to_stdout() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let home = &machine.home;
    assert_data_eq!(
        home.run(&["ssh", "--stdio", "other.fastvm"]).to_string(),
        str![[r#"
--- stderr
error: there is no VM named "other"
hint: list them with `fastvm vm list`
--- exit 125
"#]]
    );
    assert_eq!(machine.ssh(&["other.fastvm", "true"]).code, 255);
    home.ok(&["vm", "pause", "dev", "--quiet"]);
    for arguments in [["ssh", "--stdio", "dev.fastvm"], ["ssh", "dev", "true"]] {
        let ran = home.run(&arguments);
        assert_eq!((ran.stdout.as_str(), ran.code), ("", 125), "{ran}");
        assert!(
            ran.stderr
                .ends_with("is paused\nhint: resume it with `fastvm vm resume dev`\n"),
            "{ran}"
        );
    }
    home.ok(&["vm", "resume", "dev", "--quiet"]);
    // What no client of SSH says.
    let mut child = home
        .command(&["ssh", "--stdio", "dev"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 125, "{ran}");
    assert_data_eq!(
        ran.stderr,
        str![[r#"
error: the SSH client speaks another protocol

"#]]
    );
}

#[test]
fn ssh_of_fastvm_needs_no_setup_and_passes_arguments_on() {
    if lacks("ssh") {
        return;
    }
    let served = Served::start();
    let home = served.client();
    let ran = home.run(&["ssh", "dev", "-T", "echo $0 $1; exit 5"]);
    assert_eq!(ran.code, 5, "{ran}");
    assert!(!home.join(".ssh").exists());
    let without = home
        .command(&["ssh", "dev", "true"])
        .env("PATH", home.path())
        .output()
        .unwrap();
    assert_data_eq!(
        Ran::of(&without).to_string(),
        str![[r#"
--- stderr
error: this machine has no program `ssh`
hint: install OpenSSH, or use `fastvm exec` and `fastvm console`
--- exit 125
"#]]
    );
    let dry = home.run(&["--dry-run", "ssh", "dev", "true"]);
    assert_eq!(dry.code, 2, "{dry}");
}

#[test]
fn a_name_can_say_its_context() {
    if lacks("ssh") {
        return;
    }
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet", "--no-console"]);
    let ran = home.run(&["ssh", "dev.local", "exit 4"]);
    assert_eq!(ran.code, 4, "{ran}");
    let ran = home.run(&["--local", "ssh", "dev", "exit 6"]);
    assert_eq!(ran.code, 6, "{ran}");
    home.ok(&["--local", "ssh", "setup"]);
    let config = fs::read_to_string(home.join(".config/fastvm/ssh/config")).unwrap();
    assert!(
        config.contains(" --context local ssh --keys ") && config.contains(" --stdio %h\n"),
        "{config}"
    );
}

/// The line that setup adds to a home's configuration.
fn include(home: &Home) -> String {
    let config = home.join(".config/fastvm/ssh/config");
    format!("Include \"{}\"", config.display())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn setup_adds_one_line_and_undo_takes_it_back_to_the_byte() {
    for content in [
        "",
        "Host *\n  User someone\n",
        "Host *\r\n  User someone\r\n",
        "# a comment without an end",
        "\n\n",
        "Include other\nHost x\n",
        "\u{feff}Host x\n",
    ] {
        let home = Home::new();
        let path = home.join(".ssh/config");
        fs::create_dir(home.join(".ssh")).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        home.ok(&["ssh", "setup"]);
        let end = if content.contains('\r') { "\r\n" } else { "\n" };
        let expected = format!("{}{end}{content}", include(&home));
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(mode(&path), 0o644);
        let key = fs::read(home.join(".config/fastvm/ssh/client_key")).unwrap();
        home.ok(&["ssh", "setup"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        let same = fs::read(home.join(".config/fastvm/ssh/client_key")).unwrap();
        assert!(key == same);
        home.ok(&["ssh", "setup", "--undo"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert!(!home.join(".config/fastvm/ssh").exists());
        let again = home.ok(&["ssh", "setup", "--undo"]);
        assert_eq!(again, "there is nothing to take back");
    }
}

#[test]
fn setup_makes_what_is_missing_for_its_owner_alone() {
    let home = Home::new();
    home.ok(&["ssh", "setup"]);
    let folder = home.join(".config/fastvm/ssh");
    for (path, expected) in [
        (home.join(".ssh"), 0o700),
        (home.join(".ssh/config"), 0o600),
        (folder.clone(), 0o700),
        (folder.join("host_key"), 0o600),
        (folder.join("client_key"), 0o600),
    ] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    home.ok(&["ssh", "setup"]);
    home.ok(&["ssh", "setup", "--undo"]);
    assert!(!home.join(".ssh").exists());

    // What was there, and what others put there, stays.
    fs::create_dir(home.join(".ssh")).unwrap();
    home.ok(&["ssh", "setup"]);
    home.ok(&["ssh", "setup", "--undo"]);
    assert!(home.join(".ssh").exists() && !home.join(".ssh/config").exists());
    fs::remove_dir(home.join(".ssh")).unwrap();
    home.ok(&["ssh", "setup"]);
    let more = format!("{}\nHost x\n", include(&home));
    fs::write(home.join(".ssh/config"), more).unwrap();
    home.ok(&["ssh", "setup", "--undo"]);
    let left = fs::read_to_string(home.join(".ssh/config")).unwrap();
    assert_eq!(left, "Host x\n");
}

#[test]
fn a_line_that_the_user_has_written_is_enough_where_it_counts() {
    let home = Home::new();
    let path = home.join(".ssh/config");
    fs::create_dir(home.join(".ssh")).unwrap();
    let own = "# mine\n  include ~/.config/fastvm/ssh/config\nHost x\n";
    fs::write(&path, own).unwrap();
    home.ok(&["ssh", "setup"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), own);

    let too_late = format!("Host x\n{}\n", include(&home));
    fs::write(&path, &too_late).unwrap();
    home.ok(&["ssh", "setup"]);
    let expected = format!("{}\n{too_late}", include(&home));
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    home.ok(&["ssh", "setup", "--undo"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), too_late);
}

#[test]
fn a_configuration_behind_a_link_stays_there_and_one_that_is_refused_is_not_changed() {
    let home = Home::new();
    let path = home.join(".ssh/config");
    fs::create_dir(home.join(".ssh")).unwrap();
    fs::write(home.join("dotfile"), "Host x\n").unwrap();
    symlink("../dotfile", &path).unwrap();
    home.ok(&["ssh", "setup"]);
    assert!(path.is_symlink());
    let content = || fs::read_to_string(home.join("dotfile")).unwrap();
    assert_eq!(content(), format!("{}\nHost x\n", include(&home)));
    home.ok(&["ssh", "setup", "--undo"]);
    assert!(path.is_symlink());
    assert_eq!(content(), "Host x\n");

    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(home.join("dotfile"), open).unwrap();
    let ran = home.run(&["ssh", "setup"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("can be written by others"), "{ran}");
    assert_eq!(content(), "Host x\n");
    fs::remove_file(home.join("dotfile")).unwrap();
    let ran = home.run(&["ssh", "setup"]);
    assert!(ran.code == 1 && ran.stderr.contains("cannot read"), "{ran}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let ran = home.run(&["ssh", "setup"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("is not a file"),
        "{ran}"
    );
    assert!(!home.join(".config/fastvm/ssh").exists());
}

#[test]
fn a_dry_run_of_setup_shows_and_changes_nothing() {
    let home = Home::new();
    let shown = home.ok(&["ssh", "setup", "--dry-run"]);
    assert!(shown.contains(&include(&home)), "{shown}");
    assert!(
        shown.contains("\nHost *.fastvm\n    User root\n"),
        "{shown}"
    );
    assert!(!home.join(".ssh").exists() && !home.join(".config").exists());
    home.ok(&["ssh", "setup"]);
    let shown = home.ok(&["ssh", "setup", "--dry-run", "--undo"]);
    assert!(shown.contains(&include(&home)), "{shown}");
    assert!(home.join(".ssh/config").exists());
}
