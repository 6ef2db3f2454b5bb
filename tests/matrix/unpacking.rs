//! What is wrong where the copy goes: no room, no rights, tools that fail or lie.

use std::fs;
use std::process::Command;

use super::{Random, make_tree, ours_below};
use crate::common::{Front, Home, Ran, Say, Served, listing};

/// Puts a program of the test before the VM's own, which it calls as `$real`.
fn replace(served: &Served, tool: &str, body: &str) {
    let script = format!("#!/bin/sh\nreal=$(PATH=/usr/bin:/bin command -v {tool})\n{body}\n");
    let home = served.client();
    fs::write(home.join("tool"), script).unwrap();
    home.ok(&["cp", "tool", &format!("dev:/srv/tools/{tool}")]);
    served.sh(&format!("chmod 755 /srv/tools/{tool}"));
}

fn restore(served: &Served, tool: &str) {
    served.sh(&format!("rm /srv/tools/{tool}"));
}

/// T11.
#[test]
fn a_full_disk_in_the_vm_is_named_and_leaves_the_old_files() {
    let served = Served::start();
    let home = served.client();
    served.sh("mkdir /small && mount -t tmpfs -o size=1m none /small && mkdir /small/dst && echo old > /small/dst/large");
    make_tree(&home.join("src"), 10, "new");
    // It seems to fit, as it shrinks on the wire, and there is room when the copy begins.
    fs::write(home.join("src/fill"), vec![b'x'; 2_000_000]).unwrap();
    fs::write(home.join("large"), Random::new(1).bytes(2_000_000)).unwrap();
    for (source, target) in [("src", "dev:/small/dst"), ("large", "dev:/small/dst/large")] {
        let ran = home.run(&["cp", source, target]);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.stderr.to_lowercase().contains("space"), "{ran}");
        assert_eq!(
            served.sh("cat /small/dst/large; find /small -type f | wc -l"),
            "old\n1"
        );
    }
    // Room that goes while the copy is under way.
    replace(
        &served,
        "tar",
        "case $* in *x*) head -c 1000000 /dev/zero > /small/other;; esac; exec $real \"$@\"",
    );
    fs::remove_file(home.join("src/fill")).unwrap();
    let ran = home.run(&["cp", "src", "dev:/small/dst"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("No space left"), "{ran}");
    assert_eq!(
        served.sh("rm /small/other; cat /small/dst/large; find /small -type f | wc -l"),
        "old\n1"
    );
}

/// T12.
#[test]
fn a_place_that_cannot_take_the_copy_is_named_and_stays() {
    let served = Served::start();
    let home = served.client();
    make_tree(&home.join("src"), 10, "new");
    fs::write(home.join("file"), "new").unwrap();
    served.sh("echo old > /root/file; mkdir -p /root/folder/file");
    for (source, target, code) in [
        ("src", "dev:/root/file", 5),
        ("src", "dev:/root/file/below", 5),
        ("file", "dev:/root/file/below/it", 5),
        ("file", "dev:/root/folder/", 5),
        ("file", "dev:/proc/version", 1),
        ("src", "dev:/proc/new", 1),
    ] {
        let ran = home.run(&["cp", source, target]);
        assert_eq!(ran.code, code, "{source} {target}\n{ran}");
    }
    assert_eq!(served.sh("cat /root/file"), "old");
    home.ok(&["cp", "src", "dev:/root/a/b/c"]);
    fs::write(home.join("old"), "old").unwrap();
    fs::create_dir_all(home.join("into/file")).unwrap();
    served.sh("mkdir /root/tree; echo x > /root/tree/file");
    for (source, target, code) in [
        ("dev:/root/tree", "old", 5),
        ("dev:/root/tree", "old/below", 5),
        ("dev:/root/file", "old/below", 5),
        ("dev:/root/file", "into", 5),
        ("dev:/root/file", "/proc/version", 1),
        ("dev:/root/tree", "/proc/new", 1),
    ] {
        let ran = home.run(&["cp", source, target]);
        assert_eq!(ran.code, code, "{source} {target}\n{ran}");
    }
    assert_eq!(fs::read(home.join("old")).unwrap(), b"old");
    assert_eq!(ours_below(home.path()), Vec::<String>::new());
}

/// T09, T19, T20.
#[test]
fn a_tool_in_the_vm_that_is_killed_fails_or_lies_is_found_out() {
    let served = Served::start();
    let home = served.client();
    make_tree(&home.join("src"), 30, "new");
    make_tree(&home.join("old"), 30, "old");
    home.ok(&["cp", "src", "dev:/root/src"]);
    home.ok(&["cp", "old", "dev:/root/dst"]);
    served
        .client()
        .ok(&["cp", "dev:/root/dst", home.join("dst").to_str().unwrap()]);
    let before = listing(&home.join("dst"));
    let killed = "$real \"$@\" & sleep 0; kill -9 $! $$";
    for (tool, body, up, down) in [
        (
            "tar",
            "case $* in *version*) exec $real \"$@\";; esac\nkill -9 $$",
            true,
            true,
        ),
        (
            "tar",
            "$real \"$@\"; code=$?; case $* in *version*) exit $code;; esac; echo 'tar: x: Cannot open: Permission denied' >&2; exit 2",
            true,
            true,
        ),
        (
            "tar",
            "case $* in *version*) exec $real \"$@\";; esac\n$real \"$@\" | head -c 2000",
            false,
            true,
        ),
        ("zstd", "kill -9 $$", true, true),
        ("zstd", "$real \"$@\" | head -c 5000", true, true),
        ("zstd", "exit 0", true, true),
        ("curl", "exit 22", true, true),
        ("curl", killed, true, true),
        ("curl", "head -c 1000 > /dev/null; exit 0", true, true),
        ("mv", "exit 1", true, false),
        ("find", "exit 1", true, false),
    ] {
        replace(&served, tool, body);
        for (does, words) in [
            (up, ["cp", "src", "dev:/root/dst"]),
            (down, ["cp", "dev:/root/src", "dst"]),
        ] {
            if !does {
                continue;
            }
            let ran = home.run(&words);
            assert!(
                ran.code == 1 || ran.code == 7,
                "{tool}: {body}: {words:?}\n{ran}"
            );
            assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
        }
        restore(&served, tool);
        home.ok(&["cp", "dev:/root/dst", "seen"]);
        assert_eq!(listing(&home.join("seen")), before, "{tool}: {body}");
        assert_eq!(listing(&home.join("dst")), before, "{tool}: {body}");
        assert_eq!(served.left_in_vm(), "", "{tool}: {body}");
        fs::remove_dir_all(home.join("seen")).unwrap();
    }
    assert_eq!(ours_below(home.path()), Vec::<String>::new());
}

/// T15, at the VM's side, where `curl` is refused once.
#[test]
fn an_address_that_the_vm_is_refused_at_is_asked_for_again() {
    let served = Served::start();
    let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
    let home = Home::with_server(front.url());
    let straight = served.client();
    make_tree(&home.join("src"), 30, "new");
    fs::write(home.join("big"), Random::new(6).bytes(400_000)).unwrap();
    for source in ["src", "big"] {
        straight.ok(&["cp", home.join(source).to_str().unwrap(), "dev:/root/"]);
    }
    let refuses = "if mkdir /tmp/refused 2>/dev/null; then echo 'curl: (22) The requested URL returned error: 403' >&2; exit 22; fi\nexec $real \"$@\"";
    replace(&served, "curl", refuses);
    // What this machine sends goes by the front, what the VM sends goes straight to the storage.
    for (source, target) in [("src", "dev:/root/copy"), ("big", "dev:/root/copy/big")] {
        let (asked, sent) = (front.count("presign"), front.count("PUT /blobs/"));
        home.ok(&["cp", source, target]);
        assert_eq!(front.count("presign"), asked + 2, "{source}");
        assert_eq!(front.count("PUT /blobs/"), sent + 2, "{source}");
        served.sh("rmdir /tmp/refused");
    }
    let own = Home::with_server(served.url());
    for (source, target) in [
        ("dev:/root/src", "back"),
        ("dev:/root/big", "back/big"),
        ("dev:/root/big", "-"),
        ("dev:/root/src", "-"),
    ] {
        let ran = own.run(&["cp", source, target]);
        assert_eq!(ran.code, 0, "{source} {target}\n{ran}");
        served.sh("rmdir /tmp/refused");
    }
    restore(&served, "curl");
    own.ok(&["cp", "dev:/root/copy", "copy"]);
    fs::rename(home.join("big"), home.join("src/big")).unwrap();
    let whole = listing(&home.join("src"));
    assert_eq!(listing(&own.join("back")), whole);
    assert_eq!(listing(&own.join("copy")), whole);
    assert_eq!(served.cleanup(), "");
}

/// Runs a line of shell in mounts of its own, where `small` is a folder of 1 MiB.
fn with_small(home: &Home, line: &str) -> Option<Ran> {
    fs::create_dir_all(home.join("small")).unwrap();
    let mut command = home.command(&[]);
    let program = command.get_program().to_owned();
    let mounts = format!("mount -t tmpfs -o size=1m none small && {line}");
    let mut shell = Command::new("unshare");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mounts]);
    shell
        .env_clear()
        .current_dir(home.path())
        .env("FASTVM", program);
    for (name, value) in command.stdin(std::process::Stdio::null()).get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let ran = Ran::of(&shell.output().unwrap());
    if ran.stderr.contains("unshare:") {
        crate::common::skip("this machine forbids mounts of one's own");
        return None;
    }
    Some(ran)
}

/// T49.
#[test]
fn a_full_disk_here_is_an_error_and_leaves_the_old_file() {
    let served = Served::start();
    let home = served.client();
    make_tree(&home.join("src"), 10, "new");
    fs::write(home.join("src/more"), Random::new(4).bytes(1_500_000)).unwrap();
    home.ok(&["cp", "src", "dev:/root/src"]);
    for (source, target) in [("src", "small/dst"), ("src/more", "small/dst/large")] {
        let line = format!(
            "mkdir small/dst && echo old > small/dst/large && \"$FASTVM\" cp dev:/root/{source} {target}; echo $?; cat small/dst/large; find small -mindepth 1 | wc -l"
        );
        let Some(ran) = with_small(&home, &line) else {
            return;
        };
        assert_eq!(ran.stdout, "1\nold\n2\n", "{ran}");
        assert!(ran.stderr.contains("space"), "{ran}");
    }
    // Room that is not there only once it is written: the disk fills meanwhile.
    let line = "mkdir small/dst && echo old > small/dst/large && (head -c 700000 /dev/zero > small/other; \"$FASTVM\" cp dev:/root/src/large small/dst/large; \"$FASTVM\" cp dev:/root/src/large small/dst/two; echo $?); cat small/dst/large | head -c 3; find small/dst -name '.fastvm*'";
    if let Some(ran) = with_small(&home, line) {
        assert!(ran.stdout.starts_with("1\n"), "{ran}");
    }
}

/// T49.
#[test]
fn few_open_files_are_enough_or_an_error_but_never_a_wrong_copy() {
    let served = Served::start();
    let home = served.client();
    let deep: String = (0..40).map(|_| "d/").collect();
    make_tree(&home.join("src").join(&deep), 40, "new");
    home.ok(&["cp", "src", "dev:/root/src"]);
    for limit in [16, 24, 48] {
        for (words, done) in [
            (format!("cp src dev:/root/{limit}"), "up"),
            (format!("cp dev:/root/src {limit}"), "down"),
        ] {
            let mut command = home.command(&[]);
            let program = command.get_program().to_owned();
            let mut shell = Command::new("sh");
            shell
                .args([
                    "-c",
                    &format!("ulimit -n {limit}; exec \"$FASTVM\" {words}"),
                ])
                .env_clear()
                .current_dir(home.path())
                .env("FASTVM", program);
            for (name, value) in command.stdin(std::process::Stdio::null()).get_envs() {
                shell.env(name, value.unwrap_or_default());
            }
            let ran = Ran::of(&shell.output().unwrap());
            assert!(!ran.stderr.contains("panicked"), "{ran}");
            let there = home.join(&format!("seen-{limit}"));
            let seen = if done == "up" {
                if ran.code == 0 {
                    home.ok(&["cp", &format!("dev:/root/{limit}"), there.to_str().unwrap()]);
                }
                there
            } else {
                home.join(&limit.to_string())
            };
            if ran.code == 0 {
                assert_eq!(listing(&seen), listing(&home.join("src")), "{limit} {done}");
            } else {
                assert!(!seen.exists(), "{limit} {done}\n{ran}");
            }
            assert_eq!(
                ours_below(home.path()),
                Vec::<String>::new(),
                "{limit} {done}\n{ran}"
            );
        }
    }
    assert_eq!(served.left_in_vm(), "");
}

/// T53.
#[test]
fn a_vm_with_a_read_only_tmp_and_no_home_takes_and_gives_copies() {
    let served = Served::start();
    let home = served.client();
    make_tree(&home.join("src"), 10, "new");
    served.sh("mount -t tmpfs -o ro,size=1m,noexec none /tmp");
    home.ok(&["cp", "src", "dev:/root/src"]);
    home.ok(&["cp", "dev:/root/src", "back"]);
    assert_eq!(listing(&home.join("back")), listing(&home.join("src")));
    for (word, tool) in [("tar", "tar"), ("sh", "sh")] {
        let hidden = served.sh(&format!(
            "p=$(command -v {tool}); mv $p $p.away && echo $p || true"
        ));
        if hidden.is_empty() {
            continue;
        }
        let ran = home.run(&["cp", "src", "dev:/root/two"]);
        assert_ne!(ran.code, 0, "{tool}\n{ran}");
        assert!(ran.stderr.contains(word), "{tool}\n{ran}");
        home.run(&[
            "exec",
            "dev",
            "--",
            "mv",
            &format!("{hidden}.away"),
            &hidden,
        ]);
    }
}
