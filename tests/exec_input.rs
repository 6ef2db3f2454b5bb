//! Large input that is interrupted on its way: whatever moment it is, nothing of ours stays in the VM.

use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::common::{Front, Home, Ran, Say, Served, signal};

/// What is asked for in turn: the VM by its name, where to upload, the upload, the folder, the input, the command.
const REQUESTS: usize = 6;
const UPLOAD: usize = 2;

/// A server in front of the engine that holds the `at`th request until it is told to go on, then passes or loses it.
fn held(served: &Served, at: usize, then: Say) -> (Front, Receiver<()>, Sender<()>) {
    let (tell, told) = channel();
    let (go_on, resume) = channel::<()>();
    let mut number = 0;
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        number += 1;
        if number - 1 != at {
            return Say::Pass;
        }
        // A client that is gone by now needs no answer.
        let _ = tell.send(());
        let _ = resume.recv();
        then.clone()
    });
    (front, told, go_on)
}

/// Interrupts `exec -i` with a large input at a request, so that the request gets to the engine after the signal.
fn interrupted(served: &Served, at: usize, name: &str, times: usize) -> Ran {
    let (front, told, go_on) = held(served, at, Say::Pass);
    let home = Home::with_server(front.url());
    std::fs::write(home.join("input"), vec![b'x'; 20_000_000]).unwrap();
    let mut child = home
        .command(&["exec", "-i", "dev", "sleep 4321"])
        .stdin(std::fs::File::open(home.join("input")).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    for time in 0..times {
        if time > 0 {
            // Two signals at once would be one.
            std::thread::sleep(std::time::Duration::from_millis(150));
        }
        signal(&child, name);
    }
    go_on.send(()).unwrap();
    // One that comes in the very moment in which a shell becomes the command passes it by; a person would press again.
    let mut waited = 0;
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        waited += 1;
        if waited % 250 == 0 {
            signal(&child, name);
        }
    }
    let output = child.wait_with_output().unwrap();
    Ran::of(&output)
}

#[test]
fn a_signal_before_the_command_leaves_nothing_in_the_vm() {
    let served = Served::start();
    for at in 0..REQUESTS {
        for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
            let before = served.objects();
            let ran = interrupted(&served, at, name, 1);
            assert_eq!(ran.code, code, "request {at}, {name}\n{ran}");
            assert_eq!(served.sh("ls -A /tmp"), "", "request {at}, {name}\n{ran}");
            // An upload that gets through once its client is gone is emptied by nobody.
            if at != UPLOAD {
                assert_eq!(served.objects(), before, "request {at}, {name}\n{ran}");
            }
        }
    }
}

#[test]
fn a_second_signal_leaves_nothing_in_the_vm_either() {
    let served = Served::start();
    // The folder, the input, the command.
    for at in 3..REQUESTS {
        let ran = interrupted(&served, at, "INT", 2);
        assert_eq!(ran.code, 130, "request {at}\n{ran}");
        assert_eq!(served.sh("ls -A /tmp"), "", "request {at}\n{ran}");
        assert_eq!(served.objects(), "", "request {at}\n{ran}");
    }
}

#[test]
fn a_server_that_is_lost_on_the_way_leaves_nothing_or_says_how_to_remove_it() {
    let served = Served::start();
    // The answer to the folder, to the input, to the command.
    for at in 3..REQUESTS {
        let (front, told, go_on) = held(&served, at, Say::LoseAnswer);
        go_on.send(()).unwrap();
        let home = Home::with_server(front.url());
        std::fs::write(home.join("input"), vec![b'x'; 2_000_000]).unwrap();
        let ran = home.run(&["exec", "--stdin-file", "input", "dev", "wc -c >/dev/null"]);
        told.recv().unwrap();
        assert_eq!(ran.code, 125, "request {at}\n{ran}");
        assert_eq!(served.sh("ls -A /tmp"), "", "request {at}\n{ran}");
        assert_eq!(served.objects(), "", "request {at}\n{ran}");
    }
    // From here on there is no server any more.
    let mut number = 0;
    let front = Front::new(served.url(), "uploadUrl", move |_| {
        number += 1;
        match number {
            ..4 => Say::Pass,
            4 => Say::LoseAnswer,
            _ => Say::Answer(String::new()),
        }
    });
    let home = Home::with_server(front.url());
    std::fs::write(home.join("input"), vec![b'x'; 2_000_000]).unwrap();
    let ran = home.run(&["exec", "--stdin-file", "input", "dev", "cat"]);
    assert_eq!(ran.code, 125, "{ran}");
    let start = ran.stderr.find("`fastvm exec ").expect(&ran.stderr) + "`fastvm ".len();
    let words = ran.stderr[start..].split('`').next().unwrap();
    let words: Vec<_> = words.split(' ').collect();
    assert_ne!(served.sh("ls -A /tmp"), "", "{ran}");
    served.client().ok(&words);
    assert_eq!(served.sh("ls -A /tmp"), "", "{ran}");
}

#[test]
fn a_time_limit_or_a_place_that_is_not_there_leaves_nothing_in_the_vm() {
    let served = Served::start();
    let home = served.client();
    std::fs::write(home.join("input"), vec![b'x'; 2_000_000]).unwrap();
    for (options, code) in [
        (["--timeout", "1s"], 124),
        (["-w", "/nope"], 126),
        (["-u", "nobody-here"], 126),
    ] {
        let given = ["exec", "--stdin-file", "input"];
        let all = [&given[..], &options[..], &["dev", "sleep 4321"][..]].concat();
        let ran = home.run(&all);
        assert_eq!(ran.code, code, "{ran}");
        assert_eq!(served.sh("ls -A /tmp"), "", "{ran}");
    }
}
