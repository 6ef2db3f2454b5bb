//! Commands in a local VM.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use snapbox::{assert_data_eq, str};

use crate::common::Home;

fn home_with_vm() -> Home {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    home
}

#[test]
fn a_command_prints_to_both_streams_and_its_exit_code_is_ours() {
    let home = home_with_vm();
    assert_data_eq!(
        home.run(&["--local", "exec", "dev", "echo out; echo err >&2; exit 7"])
            .to_string(),
        str![[r#"
out
--- stderr
err
--- exit 7
"#]]
    );
}

#[test]
fn the_guests_codes_for_missing_and_for_not_executable_come_through() {
    let home = home_with_vm();
    assert_eq!(
        home.run(&["--local", "exec", "dev", "no-such-program", "x"])
            .code,
        127
    );
    assert_eq!(
        home.run(&["--local", "exec", "dev", "/etc/hosts", "x"])
            .code,
        126
    );
    assert_eq!(
        home.run(&["--local", "exec", "dev", "kill -KILL $$"]).code,
        137
    );
}

#[test]
fn an_argv_arrives_byte_for_byte() {
    let home = home_with_vm();
    let words = [
        "a  b", "c'd", "\"", "$HOME", "*", "\\", "", "-n", "--", "é\n\t", ";&|<>", "~",
    ];
    let mut arguments = vec!["--local", "exec", "dev", "--", "printf", "[%s]"];
    arguments.extend(words);
    let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(home.run(&arguments).stdout, expected);
}

#[test]
fn ten_megabytes_of_any_bytes_arrive_whole() {
    let home = home_with_vm();
    let command = "head -c 10000000 /dev/urandom > /root/r; cat /root/r; sha256sum < /root/r >&2";
    let output = home
        .command(&["--local", "exec", "dev", command])
        .output()
        .unwrap();
    let sum = home.join("sum");
    std::fs::write(&sum, &output.stdout).unwrap();
    let here = std::process::Command::new("sha256sum")
        .arg(&sum)
        .output()
        .unwrap();
    assert_eq!(output.stdout.len(), 10_000_000);
    assert_eq!(here.stdout[..64], output.stderr[..64]);
}

#[test]
fn output_comes_as_it_is_made() {
    let home = home_with_vm();
    let mut child = home
        .command(&[
            "--local",
            "exec",
            "dev",
            "echo first; read -r x < /root/gate; echo $x",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    home.ok(&[
        "--local",
        "exec",
        "dev",
        "mkfifo /root/gate 2>/dev/null; true",
    ]);
    let mut first = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"first\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_servers_time_limit_is_124() {
    let home = home_with_vm();
    let ran = home.run(&[
        "--local",
        "exec",
        "--timeout",
        "1s",
        "dev",
        "echo started; sleep 60",
    ]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
started
--- stderr
warning: the command reached its time limit of 1.0 s
--- exit 124
"#]]
    );
}

#[test]
fn a_loop_around_us_keeps_its_lines_and_an_open_pipe_does_not_hang_us() {
    let home = home_with_vm();
    let mut child = home
        .command(&["--local", "exec", "dev", "cat; echo done"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"not for you\n").unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(said, "done\n");
    assert!(child.wait().unwrap().success());
    drop(pipe);
}

#[test]
fn a_client_that_goes_away_takes_its_command_along() {
    let home = home_with_vm();
    let mut child = home
        .command(&["--local", "exec", "dev", "echo up; exec sleep 4321"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The guest's init notices at once; a look from a new process is enough.
    let gone = (0..50).any(|_| {
        home.run(&[
            "--local",
            "exec",
            "dev",
            "! cat /proc/[0-9]*/comm | grep -qx sleep",
        ])
        .code
            == 0
    });
    assert!(gone);
}

#[test]
fn a_vm_that_is_not_there_is_125_with_the_reason() {
    let home = Home::new();
    let ran = home.run(&["--local", "exec", "nope", "-o", "json"]);
    assert_eq!(ran.code, 125, "{ran}");
    let ran = home.run(&["--local", "--json", "exec", "nope", "true"]);
    let error = ran.error();
    assert_eq!(
        (error["code"].as_str(), &error["exitCode"]),
        (Some("not_found"), &serde_json::json!(125))
    );
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let home = home_with_vm();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home
        .command(&["--local", "exec", "dev", "yes"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
