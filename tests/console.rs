//! Consoles through a pseudo terminal, looked at with the eyes of a terminal emulator.

use std::process::Command;

use crate::common::Home;
use crate::common::terminal::{Terminal, resize};

fn home() -> Home {
    let home = Home::new();
    home.ok(&["--local", "vm", "launch", "-n", "dev", "-o", "id"]);
    home
}

fn console(home: &Home) -> Terminal {
    let mut terminal = Terminal::run(&mut home.command(&["--local", "console", "dev"]));
    terminal.wait_for_shell();
    assert!(!terminal.is_given_back());
    terminal
}

#[test]
fn a_shell_ends_its_console_at_once_and_the_terminal_is_given_back() {
    let home = home();
    let mut terminal = console(&home);
    terminal.type_in("tty; stty size; exit\r");
    terminal.wait_for("/dev/pts/");
    terminal.wait_for("24 80");
    terminal.wait_for("the console was closed");
    assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
}

#[test]
fn the_escape_leaves_and_the_vm_runs_on() {
    let home = home();
    let mut terminal = console(&home);
    terminal.type_in("\x1d");
    terminal.wait_for("left the console");
    assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
    assert_eq!(home.ok(&["--local", "exec", "dev", "echo on"]), "on");
}

#[test]
fn sizes_completion_interrupts_and_large_pastes_go_through() {
    let home = home();
    let mut terminal = console(&home);
    resize(&terminal.master, 40, 100);
    let pid = terminal.child.id().to_string();
    // The program is not in the foreground of a session of ours, so the kernel does not tell it.
    assert!(
        Command::new("kill")
            .args(["-WINCH", &pid])
            .status()
            .unwrap()
            .success()
    );
    terminal.type_in("until [ \"$(stty size)\" = '40 100' ]; do :; done; echo wi''der\r");
    terminal.wait_for("wider");
    // One process prints and sleeps: Ctrl-C cannot fall between two.
    terminal.type_in("clear; sh -c 'echo sle\"\"eping; exec sleep 300'\r");
    terminal.wait_for("sleeping");
    terminal.type_in("\x03");
    terminal.wait_for("^C\nroot@dev:~#");
    terminal.type_in("echo inter''rupted\r");
    terminal.wait_for("interrupted");
    terminal.type_in("stty raw -echo; echo rea''d; head -c 300000 | sha256sum; stty sane\r");
    terminal.wait_for("\nread");
    let paste = "é€😀x".repeat(30_000);
    terminal.type_in(&paste);
    std::fs::write(home.join("paste"), &paste).unwrap();
    let sum = Command::new("sha256sum")
        .arg(home.join("paste"))
        .output()
        .unwrap();
    terminal.wait_for(&String::from_utf8(sum.stdout).unwrap()[..64]);
}

#[test]
fn every_signal_gives_the_terminal_back() {
    let home = home();
    for (name, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let mut terminal = console(&home);
        let pid = terminal.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(
            (terminal.end(), terminal.is_given_back()),
            (code, true),
            "{name}"
        );
    }
}

#[test]
fn a_vm_that_goes_away_ends_its_console() {
    let home = home();
    let mut terminal = console(&home);
    home.ok(&["--local", "rm", "dev", "--yes"]);
    terminal.wait_for("the console was closed: VM dev (");
    terminal.wait_for("was deleted");
    assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
}

#[test]
fn a_launch_on_a_terminal_opens_a_console() {
    let home = Home::new();
    let mut terminal = Terminal::run(&mut home.command(&["--local", "launch", "-n", "dev"]));
    terminal.wait_for_shell();
    terminal.type_in("hostname; exit\r");
    terminal.wait_for("the console was closed");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn without_a_terminal_a_console_is_wrong_usage() {
    let ran = Home::with_server("http://127.0.0.1:1").run(&["console", "dev"]);
    assert_eq!(
        ran.to_string(),
        "--- stderr\nerror: a console needs a terminal on standard input and output\n\
         hint: run a command instead with `fastvm exec -i dev COMMAND`\n--- exit 2"
    );
}

#[test]
fn a_launch_takes_the_key_that_leaves_its_console() {
    let home = Home::new();
    let options = ["--local", "launch", "-n", "dev", "--escape", "^A"];
    let mut terminal = Terminal::run(&mut home.command(&options));
    terminal.wait_for("Ctrl-A leaves");
    terminal.wait_for_shell();
    terminal.type_in("\x01");
    terminal.wait_for("left the console");
    assert_eq!((terminal.end(), terminal.is_given_back()), (0, true));
}
