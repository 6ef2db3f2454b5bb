use std::fs::File;
use std::io::{Read, Write};

use fastvm_sandbox::Exit;

use crate::lab::{Lab, command, shell};

/// Reads what the terminal shows until a text is there.
fn wait_for(terminal: &mut File, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains(text) {
        let count = terminal.read(&mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

#[test]
fn a_console_is_a_terminal_of_its_own() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut console = guest
        .machine
        .console(&shell(
            "tty; read line; echo got $line; stty size; ps -o sid=,tty= -p $$; exit 7",
        ))
        .unwrap();
    console.resize(33, 111).unwrap();
    let mut terminal = File::from(console.master.try_clone().unwrap());
    wait_for(&mut terminal, "/dev/pts/0");
    terminal.write_all(b"typed\n").unwrap();
    let seen = wait_for(&mut terminal, "pts/0");
    assert!(
        seen.contains("typed\r\ngot typed\r\n33 111\r\n"),
        "{seen:?}"
    );
    assert_eq!(console.process.wait().unwrap(), Exit::Code(7));
}

#[test]
fn control_c_interrupts_and_hanging_up_ends_it() {
    let lab = Lab::new();
    let guest = lab.boot();
    let mut console = guest
        .machine
        .console(&command(&[
            "sh",
            "-c",
            "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 1; done",
        ]))
        .unwrap();
    let mut terminal = File::from(console.master.try_clone().unwrap());
    wait_for(&mut terminal, "ready");
    terminal.write_all(&[3]).unwrap();
    wait_for(&mut terminal, "caught");
    assert_eq!(console.process.wait().unwrap(), Exit::Code(5));

    let console = guest.machine.console(&command(&["sleep", "1000"])).unwrap();
    drop(console);
    while !guest.machine.is_idle().unwrap() {}
}
