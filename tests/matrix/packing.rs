//! What is wrong with the source.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::Random;
use crate::common::{Home, Ran, Served, listing};

/// Somebody who is not root, whatever this test is.
const NOBODY: u32 = 65534;

/// Runs as somebody who cannot read everything.
fn run_as_nobody(home: &Home, arguments: &[&str]) -> Ran {
    let mut command = home.command(arguments);
    if rustix::process::geteuid().is_root() {
        let given = Command::new("chown")
            .args(["-R", &format!("{NOBODY}:{NOBODY}")])
            .arg(home.path())
            .status()
            .unwrap();
        assert!(given.success());
        command.uid(NOBODY).gid(NOBODY);
    }
    Ran::of(&command.output().unwrap())
}

/// T01.
#[test]
fn an_unreadable_file_stops_a_copy_before_anything_is_sent() {
    let served = Served::start();
    let home = served.client();
    fs::create_dir(home.join("src")).unwrap();
    for number in 0..100 {
        fs::write(home.join(&format!("src/{number}")), "x").unwrap();
    }
    for number in [7, 70] {
        let path = home.join(&format!("src/{number}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    served.sh("mkdir /root/dst; echo old > /root/dst/1");
    let ran = run_as_nobody(&home, &["cp", "src", "dev:/root/dst"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stderr.contains("src/7") && ran.stderr.contains("src/70"),
        "{ran}"
    );
    assert!(ran.stderr.contains("--keep-going"), "{ran}");
    assert_eq!(served.sh("cat /root/dst/*"), "old");
    let ran = run_as_nobody(&home, &["cp", "--keep-going", "src", "dev:/root/dst"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(served.sh("ls /root/dst | wc -l"), "98");
    assert!(ran.stderr.contains("2 paths were not copied"), "{ran}");
}

/// T02.
#[test]
fn files_that_come_and_go_cost_no_other() {
    let served = Served::start();
    let home = served.client();
    let source = home.join("src");
    fs::create_dir_all(source.join("sub")).unwrap();
    for number in 0..200 {
        fs::write(source.join(format!("sub/{number}")), format!("{number}")).unwrap();
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stop = &stop;
    std::thread::scope(|scope| {
        let changing = source.clone();
        scope.spawn(move || {
            let mut round = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let path = changing.join(format!("sub/coming-{}", round % 20));
                if round % 40 < 20 {
                    fs::write(path, "here").unwrap();
                } else {
                    let _ = fs::remove_file(path);
                }
                round += 1;
            }
        });
        for round in 0..3 {
            let target = format!("dev:/root/{round}");
            let ran = home.run(&["cp", "src", &target]);
            if ran.code != 0 {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            assert_eq!(ran.code, 0, "{ran}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for round in 0..3 {
        let found = served.sh(&format!(
            "cd /root/{round}/sub && for n in $(seq 0 199); do [ \"$(cat $n)\" = $n ] && echo; done | wc -l"
        ));
        assert_eq!(found, "200", "round {round}");
    }
}

/// T07.
#[test]
fn the_owner_of_a_laptop_does_not_come_along() {
    let served = Served::start();
    let home = served.client();
    fs::create_dir(home.join("src")).unwrap();
    fs::write(home.join("src/file"), "x").unwrap();
    if rustix::process::geteuid().is_root() {
        for name in ["src", "src/file"] {
            chown(home.join(name), Some(1000), Some(1000)).unwrap();
        }
    }
    home.ok(&["cp", "src", "dev:/root/tree"]);
    home.ok(&["cp", "src/file", "dev:/root/file"]);
    assert_eq!(
        served.sh("stat -c %u:%g /root/tree /root/tree/file /root/file | sort -u"),
        "0:0"
    );
}

/// T16.
#[test]
fn what_is_no_file_is_refused_at_once() {
    let served = Served::start();
    let home = served.client();
    let made = Command::new("mkfifo")
        .arg(home.join("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let socket = home.join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for source in ["pipe", "socket", "/dev/null", "/dev/zero"] {
        let ran = home.run(&["cp", source, "dev:/root/x"]);
        assert_eq!(ran.code, 2, "{source}\n{ran}");
        assert!(ran.stderr.contains("'-'"), "{source}\n{ran}");
    }
    served.sh("mkfifo /root/pipe");
    let ran = home.run(&["cp", "dev:/root/pipe", "x"]);
    assert_eq!(ran.code, 2, "{ran}");
    let ran = home.run(&["cp", "dev:/dev/zero", "x"]);
    assert_eq!(ran.code, 2, "{ran}");
}

/// Names that somebody's shell, tar or curl would take for something else.
fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "[id].tsx",
        "{a,b}",
        "*",
        "?",
        ";",
        "$(id)",
        "`id`",
        "-T",
        "-rf",
        "--",
        "@f",
        "\\",
        "~",
        "'",
        "\"",
        "a b",
        " lead",
        "trail ",
        "tab\t",
        "new\nline",
        "é",
        "日本",
        "&&",
        "|",
        ">",
        "<",
        "#",
        "!",
        "%20",
        "=",
        "+",
        "a:b",
        "vm:x",
        "...",
        ".hidden",
        "%s%n",
        "\u{1b}[31m",
        "\u{7f}",
        "nul",
        "CON",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("n".repeat(255));
    names
}

/// T25.
#[test]
fn forty_hostile_names_go_both_ways_in_a_folder_and_alone() {
    let served = Served::start();
    let home = served.client();
    let source = home.join("src");
    fs::create_dir(&source).unwrap();
    let names = hostile_names();
    assert!(names.len() > 40);
    for name in &names {
        fs::write(source.join(name), name).unwrap();
    }
    let deep: String = (0..15).map(|_| "d".repeat(200) + "/").collect();
    fs::create_dir_all(source.join(&deep)).unwrap();
    fs::write(source.join(&deep).join("leaf"), "deep").unwrap();
    home.ok(&["cp", "src", "dev:/root/src"]);
    home.ok(&["cp", "dev:/root/src", "back"]);
    assert_eq!(listing(&home.join("back")), listing(&source));
    // Alone: each name stands in the command of the copy itself.
    for name in names.iter().take(6) {
        let (up, down) = (format!("src/{name}"), format!("dev:/root/src/{name}"));
        home.ok(&["cp", "--", &up, "dev:/root/alone/"]);
        home.ok(&["cp", "--", &down, "down/"]);
        assert_eq!(
            fs::read_to_string(home.join("down").join(name)).unwrap(),
            *name
        );
    }
    assert_eq!(served.sh("ls -A /root/alone | wc -l"), "6");
}

/// T26.
#[test]
fn a_growing_log_and_an_empty_file_are_copied_as_they_are_at_one_moment() {
    let served = Served::start();
    let home = served.client();
    fs::write(home.join("empty"), "").unwrap();
    home.ok(&["cp", "empty", "dev:/root/empty"]);
    home.ok(&["cp", "dev:/root/empty", "back"]);
    assert_eq!(fs::metadata(home.join("back")).unwrap().len(), 0);
    // Lines of one length: a copy at one moment ends at a line or, where it never holds still, says so.
    served.sh("(i=0; while [ $i -lt 100000 ]; do echo 123456789; i=$((i + 1)); done > /root/log 2>/dev/null &) ; sleep 0.2");
    let ran = home.run(&["cp", "dev:/root/log", "log"]);
    if ran.code == 0 {
        let got = fs::read(home.join("log")).unwrap();
        assert!(got.starts_with(b"123456789\n"));
    } else {
        assert!(ran.code == 1 && ran.stderr.contains("chang"), "{ran}");
        assert!(!home.join("log").exists());
    }
    let ran = home.run(&["cp", "dev:/proc/cpuinfo", "cpuinfo"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(fs::metadata(home.join("cpuinfo")).unwrap().len() > 0);
}

/// T05.
#[test]
fn a_link_to_a_folder_as_source_is_the_folder_also_with_a_slash() {
    let served = Served::start();
    let home = served.client();
    fs::create_dir(home.join("real")).unwrap();
    fs::write(home.join("real/file"), "x").unwrap();
    symlink("real", home.join("link")).unwrap();
    home.ok(&["cp", "link", "dev:/root/one"]);
    home.ok(&["cp", "link/", "dev:/root/two"]);
    assert_eq!(
        served.sh("cd /root; find one two -type f | sort"),
        "one/file\ntwo/file"
    );
    served.sh("ln -s one /root/link");
    home.ok(&["cp", "dev:/root/link", "back"]);
    assert!(home.join("back/file").exists());
}

/// T50, T52.
#[test]
fn odd_times_an_empty_folder_and_a_huge_hole_are_no_trouble() {
    let served = Served::start();
    let home = served.client();
    let source = home.join("src");
    fs::create_dir_all(&source).unwrap();
    let ran = |line: &str| {
        let status = Command::new("sh")
            .args(["-c", line])
            .current_dir(&source)
            .status();
        assert!(status.unwrap().success(), "{line}");
    };
    ran(
        "touch -d '1901-12-14 00:00:00.5 UTC' old; touch -d '2106-02-08 UTC' late; touch -d @1700000000.999999999 nine; touch -d @0 zero",
    );
    ran(
        "truncate -s 20G huge; printf end | dd of=huge bs=1 seek=9000000000 conv=notrunc 2>/dev/null",
    );
    home.ok(&["cp", "src", "dev:/root/src"]);
    let there = served.sh("cd /root/src && stat -c '%n %.Y %s' *; cksum < /dev/null; [ $(du -k huge | cut -f1) -lt 10000 ] && echo holes");
    let here = {
        let line = "stat -c '%n %.Y %s' *; cksum < /dev/null; [ $(du -k huge | cut -f1) -lt 10000 ] && echo holes";
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(&source)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(there, here.trim_end());
    assert_eq!(
        served.sh("dd if=/root/src/huge bs=1 skip=9000000000 count=3 2>/dev/null"),
        "end"
    );
    fs::create_dir(home.join("none")).unwrap();
    home.ok(&["cp", "none", "dev:/root/none"]);
    home.ok(&["cp", "dev:/root/none", "none-back"]);
    assert_eq!(fs::read_dir(home.join("none-back")).unwrap().count(), 0);
}

/// T52.
#[test]
#[ignore = "it makes 200,000 files"]
fn two_hundred_thousand_files_go_both_ways() {
    let served = Served::start();
    let home = served.client();
    for folder in 0..200 {
        let path = home.join("src").join(folder.to_string());
        fs::create_dir_all(&path).unwrap();
        for file in 0..1000 {
            fs::write(path.join(file.to_string()), Random::new(file).bytes(20)).unwrap();
        }
    }
    home.ok(&["cp", "src", "dev:/root/src"]);
    home.ok(&["cp", "dev:/root/src", "back"]);
    assert_eq!(count(&home.join("back")), 200_000);
}

fn count(folder: &Path) -> usize {
    super::files_of(folder).len()
}
