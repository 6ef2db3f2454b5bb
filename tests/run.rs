//! `fastvm run`: the VM is deleted on every way out.

use std::io::Read as _;
use std::process::Stdio;

use snapbox::{assert_data_eq, str};

use crate::common::Home;

#[test]
fn the_main_job_works_without_account_and_network() {
    let home = Home::new();
    assert_data_eq!(
        home.run(&["--local", "run", "echo hello; id -un"])
            .to_string(),
        str![[r#"
hello
root
--- exit 0
"#]]
    );
    assert_eq!(home.ok(&["--local", "ls", "--json"]), "[]");
}

#[test]
fn the_exit_code_is_the_commands_and_the_vm_is_gone() {
    let home = Home::new();
    assert_eq!(home.run(&["--local", "run", "exit 42"]).code, 42);
    assert_eq!(
        home.run(&["--local", "run", "--", "no-such-program", "x"])
            .code,
        127
    );
    assert_eq!(
        home.run(&["--local", "run", "--timeout", "1s", "sleep 60"])
            .code,
        124
    );
    assert_eq!(home.ok(&["--local", "ls", "--json"]), "[]");
}

#[test]
fn options_end_at_the_command() {
    let home = Home::new();
    assert_eq!(
        home.ok(&["--local", "run", "-n", "x", "-e", "A=b", "printenv", "A"]),
        "b"
    );
    assert_eq!(
        home.ok(&["--local", "run", "echo", "--json", "-n"]),
        "--json -n"
    );
    assert_eq!(home.ok(&["--local", "run", "-c", "echo a  b"]), "a b");
}

#[test]
fn json_is_one_object() {
    let home = Home::new();
    let ran = home.run(&["--local", "--json", "run", "echo x; exit 3"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert_eq!(
        (&ran.json()["exitCode"], &ran.json()["stdout"]),
        (&3.into(), &"x\n".into())
    );
}

#[test]
fn signals_delete_the_vm_and_end_with_their_code() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let home = Home::new();
        let mut child = home
            .command(&["--local", "run", "echo up; sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        let pid = child.id().to_string();
        std::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(home.ok(&["--local", "ls", "--json"]), "[]", "{signal}");
    }
}
