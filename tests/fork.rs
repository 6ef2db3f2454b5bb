//! `vm fork` and `run --from`: copies of a VM, and nothing else that stays.

use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::common::scripted::json;
use crate::common::{Front, Home, Ran, Say, Served, Serving};

fn local(home: &Home, arguments: &[&str]) -> String {
    home.ok(&[&["--local"], arguments].concat())
}

/// A home with a VM that holds a file.
fn with_vm() -> Home {
    let home = Home::new();
    local(&home, &["vm", "launch", "-n", "dev", "--quiet", "-o", "id"]);
    local(&home, &["exec", "dev", "echo mark > /root/mark"]);
    home
}

/// The names of all VMs and snapshots.
fn things(home: &Home, before: &[&str]) -> String {
    let list = |noun| home.ok(&[before, &[noun, "ls", "-o", "name", "--sort", "name"]].concat());
    [list("vm"), list("snapshot")].join("|").replace('\n', " ")
}

#[test]
fn copies_hold_what_the_vm_holds_and_the_snapshot_is_gone() {
    let home = with_vm();
    let one = home.run(&["--local", "vm", "fork", "dev", "-n", "copy", "--json"]);
    assert_eq!(
        (one.code, &one.json()["name"]),
        (0, &"copy".into()),
        "{one}"
    );
    assert_eq!(local(&home, &["exec", "copy", "cat /root/mark"]), "mark");
    let two = home.run(&[
        "--local", "vm", "fork", "dev", "--count", "2", "-n", "w-{n}", "-o", "name",
    ]);
    assert_eq!(two.stdout, "w-1\nw-2\n", "{two}");
    assert_eq!(things(&home, &["--local"]), "copy dev w-1 w-2|");
}

#[test]
fn a_snapshot_that_is_to_be_kept_is_kept() {
    let home = with_vm();
    let ran = home.run(&[
        "--local",
        "vm",
        "fork",
        "dev",
        "-n",
        "copy",
        "--keep-snapshot",
    ]);
    assert!(ran.stderr.contains("is kept"), "{ran}");
    let kept = local(&home, &["snapshot", "ls", "-o", "name"]);
    assert!(kept.starts_with("kept-fork-"), "{kept}");
    local(
        &home,
        &["snapshot", "restore", &kept, "-n", "again", "--quiet"],
    );
}

#[test]
fn copies_are_made_all_or_none() {
    let home = with_vm().set("FASTVM_LOCAL_QUOTAS", "vcpu=3");
    let serving = Serving::start(&home);
    // Without quotas to look at before, as some servers are.
    let front = Front::new(&serving.url, "uploadUrl", |asked| {
        match asked.line.ends_with("/quotas") {
            true => Say::Answer(json("404 Not Found", r#"{"error":"no such route"}"#)),
            false => Say::Pass,
        }
    });
    let client = Home::with_server(front.url()).set("FASTVM_API_KEY", &serving.key);
    let ran = client.run(&["vm", "fork", "dev", "--count", "5", "-n", "w"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{ran}");
    assert!(
        ran.stderr.contains("error: with 2 of 5 copies launched: ")
            && ran.stderr.contains("hint: launch no more than 2,"),
        "{ran}"
    );
    assert_eq!(things(&home, &["--local"]), "dev|", "{ran}");
}

#[test]
fn copies_that_the_quotas_have_no_room_for_are_refused_before_anything_is_made() {
    let home = with_vm();
    for (quotas, words, hint) in [
        (
            "vcpu=3",
            &["vm", "fork", "dev", "--count", "3"][..],
            "2 of 3 vCPU left, 3 needed",
        ),
        (
            "memoryMiB=4096,diskGiB=15",
            &["vm", "fork", "dev", "--count", "2"],
            "2048 of 4096 MiB of memory left, 4096 needed; 5 of 15 GiB of disk left, 20 needed",
        ),
        (
            "diskGiB=15",
            &["vm", "fork", "dev", "--disk-gib", "12"],
            "5 of 15 GiB of disk left, 12 needed",
        ),
        (
            "vcpu=1",
            &["run", "--from", "dev", "true"],
            "0 of 1 vCPU left, 1 needed",
        ),
    ] {
        let mut limited = home.command(&[&["--local", "-vv"], words].concat());
        let ran = Ran::of(&limited.env("FASTVM_LOCAL_QUOTAS", quotas).output().unwrap());
        let code = if words[0] == "run" { 125 } else { 6 };
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran}");
        let hint = format!("hint: {hint}; see all with `fastvm --local quota`\n");
        assert!(ran.stderr.contains(&hint), "{ran}");
        assert!(!ran.stderr.contains("POST"), "{ran}");
        assert_eq!(things(&home, &["--local"]), "dev|", "{ran}");
    }
}

/// The API answers with the same snapshot where a VM is saved twice in one pause.
#[test]
fn a_snapshot_that_was_there_before_stays() {
    let home = with_vm();
    local(&home, &["vm", "pause", "dev", "--quiet"]);
    local(
        &home,
        &["snapshot", "create", "dev", "-n", "mine", "--quiet"],
    );
    local(&home, &["vm", "fork", "dev", "-n", "copy", "--quiet"]);
    local(&home, &["run", "--from", "dev", "true"]);
    assert_eq!(things(&home, &["--local"]), "copy dev|mine");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_made() {
    let home = with_vm();
    for (arguments, code) in [
        (&["nope"][..], 3),
        (&["dev", "--count", "0"], 2),
        (&["dev", "--volume", "nope:/data"], 3),
    ] {
        let ran = home.run(&[&["--local", "vm", "fork"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}\n{ran}");
    }
    assert_eq!(things(&home, &["--local"]), "dev|");
}

/// A fork whose requests meet what `say` makes of their lines.
fn fork(served: &Served, mut say: impl FnMut(&str) -> Say + Send + 'static) -> Ran {
    let front = Front::new(served.url(), "uploadUrl", move |asked| say(&asked.line));
    Home::with_server(front.url()).run(&["vm", "fork", "dev", "--count", "3", "-n", "w"])
}

#[test]
fn a_lost_answer_leaves_no_snapshot_and_no_copy() {
    let served = Served::start();
    for lost in ["POST /v1/snapshots", "POST /v1/vms"] {
        let mut is_lost = false;
        let ran = fork(&served, move |line| {
            match line == lost && !std::mem::replace(&mut is_lost, true) {
                true => Say::LoseAnswer,
                false => Say::Pass,
            }
        });
        assert_eq!(ran.code, 7, "{lost}\n{ran}");
        assert_eq!(things(&served.client(), &[]), "dev|", "{lost}\n{ran}");
    }
}

#[test]
fn a_refused_copy_leaves_none_of_the_others() {
    let served = Served::start();
    let mut launches = 0;
    let ran = fork(&served, move |line| {
        launches += usize::from(line == "POST /v1/vms");
        match line == "POST /v1/vms" && launches == 3 {
            true => Say::Answer(json("400 Bad Request", r#"{"error":"not today"}"#)),
            false => Say::Pass,
        }
    });
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran}");
    assert!(ran.stderr.contains("not today"), "{ran}");
    assert_eq!(things(&served.client(), &[]), "dev|", "{ran}");
}

#[test]
fn a_snapshot_that_cannot_be_deleted_is_named_with_the_command() {
    let served = Served::start();
    let ran = fork(&served, |line| {
        match line.starts_with("DELETE /v1/snapshots") {
            true => Say::Answer(json("403 Forbidden", r#"{"error":"not yours"}"#)),
            false => Say::Pass,
        }
    });
    assert_eq!((ran.code, ran.stdout.lines().count()), (1, 4), "{ran}");
    assert!(ran.stderr.contains("`fastvm snapshot delete "), "{ran}");
}

/// Runs a command, sends it a signal once a request begins so and has been answered by the engine, and returns how it ended.
fn signalled(served: &Served, arguments: &[&str], at: &'static str, signal: &str) -> Ran {
    let (tell, told) = mpsc::channel();
    let front = Front::new(served.url(), "uploadUrl", move |asked| {
        if asked.line.starts_with(at) {
            tell.send(()).unwrap_or_default();
        }
        Say::Pass
    });
    let child = Home::with_server(front.url())
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    let pid = child.id().to_string();
    let signal = format!("-{signal}");
    Command::new("kill").args([&signal, &pid]).status().unwrap();
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_signal_leaves_no_snapshot_and_no_copy() {
    let served = Served::start();
    let fork = ["vm", "fork", "dev", "--count", "3", "-n", "w"];
    let run = ["run", "--from", "dev", "sleep 600"];
    for (arguments, at) in [
        (&fork[..], "POST /v1/snapshots"),
        (&fork, "POST /v1/vms"),
        (&run, "POST /v1/snapshots"),
        (&run, "POST /v1/vms"),
        (&run, "POST /v1/vms/"),
    ] {
        for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
            let ran = signalled(&served, arguments, at, signal);
            let left = things(&served.client(), &[]);
            assert_eq!(
                (ran.code, left.as_str()),
                (code, "dev|"),
                "{arguments:?} {at}\n{ran}"
            );
        }
    }
}

#[test]
fn a_command_runs_in_a_copy_that_is_deleted_with_its_snapshot() {
    let home = with_vm();
    let ran = home.run(&[
        "--local",
        "run",
        "--from",
        "dev",
        "cat /root/mark; rm /root/mark; exit 3",
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, "mark\n"), "{ran}");
    assert_eq!(local(&home, &["exec", "dev", "cat /root/mark"]), "mark");
    assert_eq!(things(&home, &["--local"]), "dev|");
    let kept = home.run(&[
        "--local", "run", "--from", "dev", "--keep", "-n", "kept", "true",
    ]);
    assert_eq!(kept.code, 0, "{kept}");
    assert_eq!(things(&home, &["--local"]), "dev kept|");
    let both = home.run(&["--local", "run", "--from", "dev", "--type", "c1m2", "true"]);
    assert_eq!(both.code, 2, "{both}");
}

#[test]
fn a_copy_to_run_in_that_cannot_be_launched_leaves_no_snapshot() {
    let home = with_vm().set("FASTVM_LOCAL_QUOTAS", "vcpu=1");
    let ran = home.run(&["--local", "run", "--from", "dev", "true"]);
    assert_eq!(ran.code, 125, "{ran}");
    assert_eq!(things(&home, &["--local"]), "dev|", "{ran}");
}
