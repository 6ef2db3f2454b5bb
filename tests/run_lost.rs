//! `fastvm run` and a server that is lost on the way: no VM stays, or it is named with the command that deletes it.

use crate::common::scripted::stream;
use crate::common::{Front, Home, Ran, Say, Served};

/// The names of the VMs that are there.
fn names(served: &Served) -> String {
    served.client().ok(&["vm", "ls", "-o", "name"])
}

/// Runs a command where each request meets what `say` makes of its line.
fn run(served: &Served, mut say: impl FnMut(&str) -> Say + Send + 'static) -> Ran {
    let front = Front::new(served.url(), "uploadUrl", move |asked| say(&asked.line));
    Home::with_server(front.url()).run(&["run", "-n", "lost", "true"])
}

/// The command that an error tells to use, as words.
fn told(ran: &Ran) -> Vec<&str> {
    let at = ran.stderr.find("`fastvm ").expect(&ran.stderr) + "`fastvm ".len();
    let words = ran.stderr[at..].split('`').next().unwrap();
    words.split(' ').collect()
}

fn is_launch(line: &str) -> bool {
    line == "POST /v1/vms"
}

#[test]
fn a_lost_answer_to_the_launch_or_to_the_command_leaves_no_vm() {
    let served = Served::start();
    let ran = run(&served, |line| match is_launch(line) {
        true => Say::LoseAnswer,
        false => Say::Pass,
    });
    assert_eq!((ran.code, names(&served).as_str()), (125, "dev"), "{ran}");
    let ran = run(&served, |line| match line.ends_with("/exec") {
        true => Say::LoseAnswer,
        false => Say::Pass,
    });
    assert_eq!((ran.code, names(&served).as_str()), (125, "dev"), "{ran}");
}

#[test]
fn a_stream_that_is_cut_leaves_no_vm() {
    let served = Served::start();
    let cut = stream("{\"t\":\"o\",\"d\":\"b3V0Cg==\"}\n{\"t\":\"o\",");
    let ran = run(&served, move |line| match line.ends_with("/exec") {
        true => Say::Answer(cut.clone()),
        false => Say::Pass,
    });
    assert_eq!((ran.code, ran.stdout.as_str()), (125, "out\n"), "{ran}");
    assert!(ran.stderr.contains("outcome is unknown"), "{ran}");
    assert_eq!(names(&served), "dev");
}

#[test]
fn a_lost_answer_to_the_deletion_is_no_failure() {
    let served = Served::start();
    let mut is_lost = false;
    let ran = run(&served, move |line| {
        if !line.starts_with("DELETE") || std::mem::replace(&mut is_lost, true) {
            return Say::Pass;
        }
        Say::LoseAnswer
    });
    assert_eq!((ran.code, names(&served).as_str()), (0, "dev"), "{ran}");
}

#[test]
fn a_server_that_is_dead_from_the_launch_on_is_told_how_to_look_for_the_vm() {
    let served = Served::start();
    let mut is_dead = false;
    let ran = run(&served, move |line| match is_launch(line) {
        _ if is_dead => Say::Answer(String::new()),
        true => {
            is_dead = true;
            Say::LoseAnswer
        }
        false => Say::Pass,
    });
    assert_eq!(ran.code, 125, "{ran}");
    let listed = [&told(&ran)[..], &["-o", "name"]].concat();
    assert_eq!(served.client().ok(&listed), "lost", "{ran}");
}

#[test]
fn a_server_that_is_dead_from_the_command_or_the_deletion_on_names_the_vm_that_is_left() {
    let served = Served::start();
    for part in ["/exec", "DELETE"] {
        let mut is_dead = false;
        let ran = run(&served, move |line| {
            is_dead |= line.contains(part);
            match is_dead {
                true => Say::Answer(String::new()),
                false => Say::Pass,
            }
        });
        assert_eq!(ran.code, 125, "{part}\n{ran}");
        assert!(ran.stderr.contains("could not be deleted"), "{part}\n{ran}");
        assert!(names(&served).contains("lost"), "{part}\n{ran}");
        let delete = [&told(&ran)[..], &["--yes"]].concat();
        served.client().ok(&delete);
        assert_eq!(names(&served), "dev", "{part}");
    }
}
