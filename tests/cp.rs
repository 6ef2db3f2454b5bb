//! Files and folders into a local VM and back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::common::{Home, Served};

fn home_with_vm() -> Home {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    home
}

/// Everything that a copy keeps: kind, mode, size, time to the nanosecond, link text, content.
fn listing(folder: &Path) -> String {
    let script = r#"cd "$1" && find . -mindepth 1 \( -type f -printf '%P f %m %s %T@ ' -exec sha256sum {} \; \) -o \( -type l -printf '%P l %l\n' \) -o -printf '%P %y %m %T@\n' | sort"#;
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_real_source_tree_goes_there_and_back_unchanged() {
    let home = home_with_vm();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    home.ok(&["--local", "cp", source, "dev:/root/src"]);
    home.ok(&["--local", "cp", "dev:/root/src", "back"]);
    assert_eq!(listing(&home.join("back")), listing(Path::new(source)));
}

#[test]
fn modes_times_links_empty_folders_and_odd_names_survive_both_ways() {
    let home = home_with_vm();
    let tree = home.join("tree");
    fs::create_dir_all(tree.join("empty/inner")).unwrap();
    fs::create_dir(tree.join("private")).unwrap();
    for name in [
        "plain",
        "with space",
        "quote'\"",
        "new\nline",
        "-dash",
        "[x]*?{a,b}",
        "back\\slash",
        "é",
        "$(id)",
        "@f",
    ] {
        fs::write(tree.join(name), name).unwrap();
    }
    fs::write(tree.join("private/key"), "secret").unwrap();
    fs::write(tree.join("zero"), "").unwrap();
    fs::set_permissions(tree.join("private/key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(tree.join("private"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(tree.join("plain"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("plain", tree.join("link")).unwrap();
    symlink("/etc/absolute", tree.join("absolute")).unwrap();
    symlink("nowhere", tree.join("dangling")).unwrap();
    fs::hard_link(tree.join("plain"), tree.join("hard")).unwrap();
    home.ok(&["--local", "cp", "tree", "dev:/root/tree"]);
    home.ok(&["--local", "cp", "dev:/root/tree", "back"]);
    assert_eq!(listing(&home.join("back")), listing(&tree));
    let links = home.ok(&[
        "--local",
        "exec",
        "dev",
        "stat -c %h /root/tree/plain; stat -c %U:%G /root/tree/plain",
    ]);
    assert_eq!(links, "2\nroot:root");
}

#[test]
fn a_file_keeps_its_mode_makes_its_parents_and_goes_into_a_folder() {
    let home = home_with_vm();
    fs::write(home.join("tool"), "#!/bin/sh\necho ran\n").unwrap();
    fs::set_permissions(home.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    home.ok(&["--local", "cp", "tool", "dev:/opt/new/folder/tool"]);
    assert_eq!(
        home.ok(&["--local", "exec", "dev", "/opt/new/folder/tool"]),
        "ran"
    );
    home.ok(&["--local", "cp", "tool", "dev:/opt"]);
    assert_eq!(home.ok(&["--local", "exec", "dev", "/opt/tool"]), "ran");
    home.ok(&["--local", "cp", "dev:/opt/tool", "down/deep/tool"]);
    assert_eq!(
        fs::metadata(home.join("down/deep/tool"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o755
    );
}

#[test]
fn a_folder_is_the_target_and_copying_it_twice_is_the_same() {
    let home = home_with_vm();
    fs::create_dir(home.join("src")).unwrap();
    fs::write(home.join("src/a"), "1").unwrap();
    home.ok(&["--local", "cp", "src", "dev:/root/x"]);
    home.ok(&["--local", "cp", "src", "dev:/root/x"]);
    home.ok(&["--local", "cp", "src", "dev:/root/into/"]);
    let found = home.ok(&[
        "--local",
        "exec",
        "dev",
        "cd /root; find x into -type f | sort",
    ]);
    assert_eq!(found, "into/src/a\nx/a");
}

#[test]
fn a_large_file_and_standard_streams_arrive_whole() {
    let home = home_with_vm();
    let mut bytes = vec![0; 20_000_000];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .unwrap();
    fs::write(home.join("big"), &bytes).unwrap();
    home.ok(&["--local", "cp", "big", "dev:/root/big"]);
    home.ok(&["--local", "cp", "dev:/root/big", "back"]);
    assert!(fs::read(home.join("back")).unwrap() == bytes);
    let stdin = fs::File::open(home.join("big")).unwrap();
    assert!(
        home.command(&["--local", "cp", "-", "dev:/root/piped"])
            .stdin(stdin)
            .status()
            .unwrap()
            .success()
    );
    let output = home
        .command(&["--local", "cp", "dev:/root/piped", "-"])
        .output()
        .unwrap();
    assert!(output.stdout == bytes);
}

#[test]
fn nothing_of_ours_stays_in_the_vm_or_here() {
    let home = home_with_vm();
    fs::write(home.join("file"), "x".repeat(1_000_000)).unwrap();
    home.ok(&["--local", "cp", "file", "dev:/root/file"]);
    home.ok(&["--local", "cp", "dev:/root", "down"]);
    // The file of apt is one of the system that an ordinary user's VM shows.
    let left = home.ok(&["--local", "exec", "dev", "find / -xdev -name '*fastvm*' -not -path '/run/*' -not -path '/proc/*' -not -path '/usr/*' -not -name 90fastvm; ls -A /tmp"]);
    assert_eq!(left, "");
    let here: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !here
            .iter()
            .any(|name| name.to_string_lossy().contains(".fastvm")),
        "{here:?}"
    );
}

#[test]
fn the_summary_is_json_when_asked_for() {
    let home = home_with_vm();
    fs::write(home.join("a"), "abc").unwrap();
    let ran = home.run(&["--local", "--json", "cp", "a", "dev:/root/a"]);
    let summary = ran.json();
    assert_eq!(
        (&summary["files"], &summary["bytes"], ran.code),
        (&1.into(), &3.into(), 0),
        "{ran}"
    );
}

#[test]
fn an_interrupted_copy_leaves_nothing_half_made_and_goes_on_when_run_again() {
    let home = home_with_vm();
    fs::create_dir(home.join("many")).unwrap();
    for index in 0..40 {
        fs::write(
            home.join(&format!("many/{index}")),
            vec![index as u8; 4_000_000],
        )
        .unwrap();
    }
    home.ok(&["--local", "cp", "many", "dev:/root/many"]);
    let begun_there = || {
        home.ok(&["--local", "exec", "dev", "ls -A /root /tmp"])
            .contains(".fastvm")
    };
    interrupt(&home, ["many", "dev:/root/up"], begun_there);
    let begun_here = || {
        names(home.path())
            .iter()
            .any(|name| name.contains(".fastvm"))
    };
    interrupt(&home, ["dev:/root/many", "down"], begun_here);
    let left = home.ok(&[
        "--local",
        "exec",
        "dev",
        "ls -A /root | grep -v '^up$'; ls -A /tmp; cat /proc/[0-9]*/comm | grep -x 'tar\\|curl' || true",
    ]);
    assert_eq!(left, "many");
    let mut here = names(home.path());
    here.retain(|name| name != "down" && name != ".local");
    assert_eq!(here, ["local", "many"]);
    home.ok(&["--local", "cp", "many", "dev:/root/up"]);
    home.ok(&["--local", "cp", "dev:/root/many", "down"]);
    home.ok(&["--local", "cp", "dev:/root/up", "up"]);
    for copy in ["down", "up"] {
        assert_eq!(listing(&home.join(copy)), listing(&home.join("many")));
    }
    let journals = home.join(".local/state/fastvm/transfers");
    assert!(!journals.exists() || names(&journals).is_empty());
}

/// Starts a copy, and interrupts it once it has begun to make something.
fn interrupt(home: &Home, sides: [&str; 2], begun: impl Fn() -> bool) {
    let mut child = home
        .command(&["--local", "--quiet", "cp", sides[0], sides[1]])
        .spawn()
        .unwrap();
    while !begun() {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it was over before it could be interrupted"
        );
    }
    Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_dry_run_lists_what_would_be_copied_and_copies_nothing() {
    let home = home_with_vm();
    fs::create_dir_all(home.join("tree/sub")).unwrap();
    fs::write(home.join("tree/sub/a"), "1").unwrap();
    fs::write(home.join("tree/b.log"), "2").unwrap();
    fs::write(home.join("rules"), "*.log\n").unwrap();
    let up = [
        "--local",
        "cp",
        "--dry-run",
        "--ignore-file",
        "rules",
        "tree",
        "dev:/root/tree",
    ];
    assert_eq!(home.ok(&up), "sub\nsub/a");
    assert_eq!(home.ok(&["--local", "exec", "dev", "ls /root"]), "");
    home.ok(&[
        "--local",
        "cp",
        "--limit-rate",
        "10MiB/s",
        "tree",
        "dev:/root/tree",
    ]);
    let down = [
        "--local",
        "cp",
        "--dry-run",
        "--exclude",
        "sub/",
        "dev:/root/tree",
        "back",
    ];
    assert_eq!(home.ok(&down), "b.log");
    assert!(!home.join("back").exists());
    let slow = home.run(&["--local", "cp", "--limit-rate", "1K", "tree", "dev:/x"]);
    assert_eq!(slow.code, 2, "{slow}");
}

#[test]
fn a_copy_goes_from_vm_to_vm() {
    let home = home_with_vm();
    home.ok(&["--local", "launch", "-n", "other", "--quiet"]);
    let make = "mkdir -p /data/sub && head -c 3000000 /dev/urandom >/data/sub/big && ln -s sub/big /data/link && chmod 750 /data/sub";
    home.ok(&["--local", "exec", "dev", make]);
    home.ok(&["--local", "cp", "dev:/data", "other:/root/data"]);
    home.ok(&["--local", "cp", "dev:/data/sub/big", "other:/root/one"]);
    let sums = "cd $1 && sha256sum < sub/big && stat -c '%a %Y' sub && readlink link";
    let sent = home.ok(&[
        "--local", "exec", "dev", "--", "sh", "-c", sums, "sh", "/data",
    ]);
    let got = home.ok(&[
        "--local",
        "exec",
        "other",
        "--",
        "sh",
        "-c",
        sums,
        "sh",
        "/root/data",
    ]);
    assert_eq!(sent, got);
    let left = "cmp /root/one /root/data/sub/big; ls -A /root /tmp";
    let left = home.ok(&["--local", "exec", "other", left]);
    assert_eq!(left, "/root:\ndata\none\n\n/tmp:");
    let missing = home.run(&["--local", "cp", "dev:/nothing", "other:/x"]);
    assert_eq!(missing.code, 3, "{missing}");
}

#[test]
fn a_tree_and_a_file_of_many_shards_arrive_as_they_are() {
    let home = home_with_vm();
    let tree = home.join("tree");
    let mut noise = vec![0_u8; 3_000_000];
    let mut state = 1_u64;
    for byte in &mut noise {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    for folder in ["a/b", "c", "d"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
        for number in 0..5 {
            fs::write(tree.join(folder).join(number.to_string()), &noise[number..]).unwrap();
        }
    }
    fs::write(tree.join("c/large"), noise.repeat(10)).unwrap();
    fs::hard_link(tree.join("a/b/0"), tree.join("d/same")).unwrap();
    symlink("large", tree.join("c/link")).unwrap();
    home.ok(&["--local", "cp", "-j", "3", "tree", "dev:/root/tree"]);
    home.ok(&["--local", "cp", "dev:/root/tree", "back"]);
    assert_eq!(listing(&home.join("back")), listing(&tree));
    home.ok(&["--local", "cp", "tree/c/large", "dev:/root/alone"]);
    let there = home.ok(&[
        "--local",
        "exec",
        "dev",
        "cmp /root/alone /root/tree/c/large && stat -c %h /root/tree/d/same; ls -A /root",
    ]);
    assert_eq!(there, "2\nalone\ntree");
}

#[test]
fn a_sync_copies_what_differs_and_deletes_only_after_a_yes() {
    let home = home_with_vm();
    let tree = home.join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/a"), "1").unwrap();
    fs::write(tree.join("b"), "2").unwrap();
    let up = ["--local", "cp", "--sync", "tree", "dev:/root/tree"];
    home.ok(&up);
    home.ok(&["--local", "exec", "dev", "echo x >/root/tree/sub/extra"]);
    fs::write(tree.join("b"), "changed").unwrap();
    let mirror = [
        "--local",
        "cp",
        "--sync",
        "--delete",
        "tree",
        "dev:/root/tree",
    ];
    let asked = home.run(&mirror);
    assert_eq!(asked.code, 2, "{asked}");
    assert!(asked.stderr.contains("--yes"), "{asked}");
    let dry = [&mirror[..], &["--dry-run"]].concat();
    assert_eq!(home.ok(&dry), "+ b\n~ sub\n- sub/extra");
    assert_eq!(
        home.ok(&["--local", "exec", "dev", "cat /root/tree/b"]),
        "2"
    );
    let sure = [
        &mirror[..],
        &[
            "--yes",
            "--verify",
            "-q",
            "[.files,.unchanged,.deleted]|@csv",
        ],
    ]
    .concat();
    assert_eq!(home.ok(&sure), "1,1,1");
    home.ok(&[
        "--local",
        "cp",
        "--sync",
        "--checksum",
        "dev:/root/tree",
        "back",
    ]);
    assert_eq!(listing(&home.join("back")), listing(&tree));
    fs::remove_file(home.join("back/sub/a")).unwrap();
    fs::create_dir(home.join("back/sub/a")).unwrap();
    let clash = home.run(&["--local", "cp", "--sync", "dev:/root/tree", "back"]);
    assert_eq!(clash.code, 5, "{clash}");
    home.ok(&[
        "--local",
        "-y",
        "cp",
        "--sync",
        "--delete",
        "dev:/root/tree",
        "back",
    ]);
    assert_eq!(listing(&home.join("back")), listing(&tree));
}

#[test]
fn what_is_there_stays_and_is_named_with_no_clobber() {
    let home = home_with_vm();
    fs::write(home.join("file"), "mine").unwrap();
    home.ok(&[
        "--local",
        "exec",
        "dev",
        "mkdir /t && echo theirs >/t/file && chown 5:6 /t/file",
    ]);
    let kept = home.run(&[
        "--local",
        "cp",
        "--no-clobber",
        "file",
        "dev:/t/",
        "-o",
        "json",
    ]);
    assert_eq!(kept.code, 0, "{kept}");
    assert!(kept.stdout.contains("already there"), "{kept}");
    assert_eq!(
        home.ok(&["--local", "exec", "dev", "cat /t/file"]),
        "theirs"
    );
    let mixed = home.run(&["--local", "cp", "--delete", "file", "dev:/t/"]);
    assert_eq!(mixed.code, 2, "{mixed}");
    let stream = home.run(&["--local", "cp", "--verify", "-", "dev:/t/file"]);
    assert_eq!(stream.code, 2, "{stream}");
}

#[test]
fn what_is_neither_file_folder_nor_link_is_counted_in_one_warning() {
    let home = Home::new();
    home.ok(&["--local", "vm", "launch", "--name", "dev"]);
    std::fs::create_dir(home.join("tree")).unwrap();
    std::fs::write(home.join("tree/file"), "x").unwrap();
    for name in ["tree/a", "tree/b"] {
        let made = std::process::Command::new("mkfifo")
            .arg(home.join(name))
            .status();
        assert!(made.unwrap().success());
    }
    let up = home.run(&["--local", "cp", "tree", "dev:/root/tree"]);
    assert_eq!(up.code, 0, "{up}");
    let warning = "warning: left out: 2 neither file, folder nor link (tree/a, tree/b)";
    assert_eq!(up.stderr.lines().next(), Some(warning), "{up}");
    assert_eq!(
        home.ok(&["--local", "exec", "dev", "ls /root/tree"]),
        "file"
    );
    home.ok(&["--local", "exec", "dev", "mkfifo /root/tree/pipe"]);
    let down = home.run(&["--local", "cp", "dev:/root/tree", "back"]);
    assert_eq!(down.code, 0, "{down}");
    assert!(
        down.stderr
            .contains("left out: 1 neither file, folder nor link (pipe)"),
        "{down}"
    );
}

#[test]
fn sources_that_would_go_to_one_place_are_refused() {
    let home = home_with_vm();
    home.ok(&["--local", "launch", "-n", "other", "--quiet"]);
    let make = "mkdir -p a/x b/x && touch a/x/1 b/x/2";
    home.ok(&["--local", "exec", "dev", make]);
    fs::create_dir(home.join("out")).unwrap();
    for (sources, reason) in [
        (["dev:a/x", "dev:b/x/"], "another source has the same name"),
        (["dev:a/x", "dev:b/."], "can't be mixed with other sources"),
    ] {
        for target in ["out/", "other:out/"] {
            for more in [&[][..], &["--verify"]] {
                if !more.is_empty() && target.contains(':') {
                    continue;
                }
                let words = ["--local", "cp", sources[0], sources[1], target];
                let ran = home.run(&[&words[..], more].concat());
                assert_ne!(ran.code, 0, "{ran}");
                assert!(ran.stderr.contains(reason), "{ran}");
            }
        }
    }
    assert_eq!(listing(&home.join("out")), "");
    home.ok(&["--local", "exec", "other", "test ! -e out"]);
    home.ok(&["--local", "cp", "dev:a/x", "dev:b", "out/"]);
    assert!(home.join("out/x/1").exists() && home.join("out/b/x/2").exists());
}

#[test]
fn a_folder_is_not_copied_into_itself_within_one_vm() {
    let home = home_with_vm();
    home.ok(&["--local", "exec", "dev", "mkdir -p /tmp/d/sub /tmp/e"]);
    for target in [
        "dev:/tmp/d/sub",
        "dev:/tmp//x/../d/new",
        "dev:/tmp/d/",
        "dev:/tmp/d",
        "dev:/tmp/",
    ] {
        let ran = home.run(&["--local", "cp", "dev:/tmp/d", target]);
        assert_eq!(ran.code, 2, "{target}\n{ran}");
        assert!(ran.stderr.contains("the source or inside it"), "{ran}");
    }
    home.ok(&["--local", "cp", "dev:/tmp/d", "dev:/tmp/d2"]);
    home.ok(&["--local", "cp", "dev:/tmp/d", "dev:/tmp/e/"]);
    let listed = home.ok(&["--local", "exec", "dev", "ls -d /tmp/d2/sub /tmp/e/d/sub"]);
    assert_eq!(listed, "/tmp/d2/sub\n/tmp/e/d/sub");
    let ran = home.run(&["--local", "exec", "dev", "-c", "echo x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "x\n"), "{ran}");
}

fn make(program: &str, arguments: &[&str], place: &Path) {
    let made = Command::new(program)
        .arg(place)
        .args(arguments)
        .status()
        .unwrap();
    assert!(made.success(), "{program} {place:?}");
}

/// A home whose VM has a small file and one that does not fit into a command.
fn home_with_files() -> Home {
    let home = home_with_vm();
    let write = "echo small >small && head -c 700000 /dev/zero >large";
    home.ok(&["--local", "exec", "dev", write]);
    home
}

#[test]
fn a_file_is_written_into_a_pipe_or_a_character_device() {
    use std::os::unix::fs::FileTypeExt as _;
    let home = home_with_files();
    let pipe = home.join("pipe");
    make("mkfifo", &[], &pipe);
    symlink("pipe", home.join("link")).unwrap();
    for (target, source, size) in [
        ("pipe", "dev:small", 6),
        ("link", "dev:small", 6),
        ("pipe", "dev:large", 700_000),
    ] {
        let from = pipe.clone();
        let reader = std::thread::spawn(move || fs::read(from).unwrap().len());
        home.ok(&["--local", "cp", source, target]);
        assert_eq!(reader.join().unwrap(), size, "{source} {target}");
    }
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    // What is written to by others as well is not replaced.
    fs::write(home.join("log"), "before\n").unwrap();
    let log = fs::File::options()
        .append(true)
        .open(home.join("log"))
        .unwrap();
    let onto = ["--local", "cp", "--quiet", "dev:small", "/dev/stdout"];
    assert!(home.command(&onto).stdout(log).status().unwrap().success());
    assert_eq!(
        fs::read_to_string(home.join("log")).unwrap(),
        "before\nsmall\n"
    );
    // Only root may make devices.
    if fs::metadata(home.path())
        .map(|meta| std::os::unix::fs::MetadataExt::uid(&meta))
        .unwrap()
        == 0
    {
        let null = home.join("null");
        make("mknod", &["c", "1", "3"], &null);
        home.ok(&["--local", "cp", "dev:small", "null"]);
        home.ok(&["--local", "cp", "dev:large", "null"]);
        let compared = home.run(&["--local", "cp", "--verify", "dev:small", "null"]);
        assert_eq!(compared.code, 5, "{compared}");
        assert!(fs::metadata(&null).unwrap().file_type().is_char_device());
        make("mknod", &["b", "250", "250"], &home.join("disk"));
        let refused = home.run(&["--local", "cp", "dev:small", "disk"]);
        assert_eq!(refused.code, 5, "{refused}");
        make("mknod", &["c", "1", "7"], &home.join("full"));
        let full = home.run(&["--local", "cp", "dev:small", "full"]);
        assert_eq!(full.code, 1, "{full}");
        assert!(full.stderr.contains("full: cannot write"), "{full}");
    }
}

#[test]
fn a_socket_and_what_is_special_in_a_target_folder_are_refused() {
    use std::os::unix::fs::FileTypeExt as _;
    let home = home_with_files();
    let _socket = std::os::unix::net::UnixListener::bind(home.join("socket")).unwrap();
    fs::create_dir(home.join("folder")).unwrap();
    make("mkfifo", &[], &home.join("folder/small"));
    make("mkfifo", &[], &home.join("folder/large"));
    for (source, target) in [
        ("dev:small", "socket"),
        ("dev:large", "socket"),
        ("dev:small", "folder"),
        ("dev:large", "folder/"),
    ] {
        let ran = home.run(&["--local", "cp", source, target]);
        assert_eq!(ran.code, 5, "{source} {target}\n{ran}");
        assert!(ran.stderr.contains("no file replaces"), "{ran}");
    }
    let kind = |name: &str| fs::symlink_metadata(home.join(name)).unwrap().file_type();
    // The same in a tree, both ways.
    let tree = "mkdir tree there && echo x > tree/small && mkfifo there/small";
    home.ok(&["--local", "exec", "dev", tree]);
    fs::create_dir(home.join("tree")).unwrap();
    fs::write(home.join("tree/small"), "x").unwrap();
    for (source, target) in [("dev:tree", "folder"), ("tree", "dev:there")] {
        let ran = home.run(&["--local", "cp", source, target]);
        assert_eq!(ran.code, 5, "{source} {target}\n{ran}");
        assert!(ran.stderr.contains("no file replaces"), "{ran}");
    }
    home.ok(&["--local", "exec", "dev", "test -p there/small"]);
    assert!(kind("socket").is_socket() && kind("folder/small").is_fifo());
}

#[test]
fn a_link_at_the_target_of_one_file_stays_and_its_end_is_replaced() {
    let home = home_with_files();
    fs::create_dir(home.join("sub")).unwrap();
    symlink("sub/end", home.join("link")).unwrap();
    for source in ["dev:small", "dev:large", "dev:small"] {
        for more in [&[][..], &["--verify"]] {
            // The first time the link leads nowhere yet.
            home.ok(&[&["--local", "cp", source, "link"], more].concat());
            assert!(home.join("link").is_symlink());
        }
    }
    assert_eq!(fs::read_to_string(home.join("sub/end")).unwrap(), "small\n");
    symlink("none/end", home.join("lost")).unwrap();
    let lost = home.run(&["--local", "cp", "dev:small", "lost"]);
    assert_eq!(lost.code, 5, "{lost}");
    assert!(
        lost.stderr.contains("whose folder does not exist"),
        "{lost}"
    );
    // In a folder a link is replaced: what was copied there before may have brought it.
    fs::create_dir(home.join("folder")).unwrap();
    for more in [&[][..], &["--verify"]] {
        symlink("../sub/end", home.join("folder/large")).unwrap();
        home.ok(&[&["--local", "cp", "dev:large", "folder/"], more].concat());
        assert!(!home.join("folder/large").is_symlink());
        fs::remove_file(home.join("folder/large")).unwrap();
    }
    assert_eq!(fs::read_to_string(home.join("sub/end")).unwrap(), "small\n");
}

#[test]
fn in_a_vm_a_link_is_followed_and_nothing_special_is_replaced() {
    let home = home_with_vm();
    fs::write(home.join("small"), "small").unwrap();
    fs::write(home.join("large"), vec![b'x'; 700_000]).unwrap();
    fs::write(home.join("huge"), vec![b'x'; 20_000_000]).unwrap();
    let prepare =
        "mkdir sub folder && ln -s sub/end link && ln -s none/end lost && mkfifo pipe folder/small";
    home.ok(&["--local", "exec", "dev", prepare]);
    for source in ["large", "huge", "small"] {
        for more in [&[][..], &["--verify"]] {
            home.ok(&[&["--local", "cp", source, "dev:link"], more].concat());
            let is_link = "test -L link && wc -c <sub/end";
            let size = home.ok(&["--local", "exec", "dev", is_link]);
            let sent = fs::metadata(home.join(source)).unwrap().len();
            assert_eq!(size.trim(), sent.to_string(), "{source}");
        }
        for (target, reason) in [
            ("dev:pipe", "no file replaces"),
            ("dev:lost", "leads to no folder"),
        ] {
            let ran = home.run(&["--local", "cp", source, target]);
            assert_eq!(ran.code, 5, "{source} {target}\n{ran}");
            assert!(ran.stderr.contains(reason), "{ran}");
        }
    }
    home.ok(&["--local", "exec", "dev", "mkfifo folder/huge"]);
    for source in ["small", "huge"] {
        let within = home.run(&["--local", "cp", source, "dev:folder"]);
        assert_eq!(within.code, 5, "{within}");
    }
    let left = "test -p pipe && test -p folder/small && ls -A | tr '\\n' ' '";
    let left = home.ok(&["--local", "exec", "dev", left]);
    assert!(!left.contains(".fastvm-"), "{left}");
}

#[test]
fn what_is_in_the_way_of_a_sync_is_named() {
    let served = Served::start();
    let home = served.client();
    served.sh("mkdir -p /srv/t/folder && mkfifo /srv/t/pipe && echo x >/srv/t/file && ln -s x /srv/t/link");
    for (name, is_folder, says) in [
        ("pipe", false, "a pipe with a file"),
        ("folder", false, "a folder with a file"),
        ("file", true, "a file with a folder"),
        ("link", true, "a link with a folder"),
    ] {
        let source = home.join(&format!("from-{name}"));
        std::fs::create_dir(&source).unwrap();
        match is_folder {
            true => std::fs::create_dir(source.join(name)).unwrap(),
            false => std::fs::write(source.join(name), "x").unwrap(),
        }
        let ran = home.run(&["cp", "--sync", &format!("from-{name}/"), "dev:/srv/t"]);
        assert_eq!(ran.code, 5, "{ran}");
        let says = format!("error: cannot replace {says}: {name}\n");
        assert!(ran.stderr.starts_with(&says), "{ran}");
    }
}

#[test]
fn what_cannot_be_read_in_a_vm_is_told_in_our_own_words() {
    let served = Served::start();
    let home = served.client();
    served.sh("mkdir -p /srv/t/open && echo x >/srv/t/open/file");
    // As an ordinary user of the VM would meet it: root may read everything.
    served.sh(
        "printf '%s\\n' '#!/bin/sh' 'case $* in *-version*|/*) exec /usr/bin/find \"$@\";; esac' \
         'echo \"find: '\"'./secret'\"': Permission denied\" >&2' 'exit 1' >/srv/tools/find && chmod +x /srv/tools/find",
    );
    let ran = home.run(&["cp", "--sync", "dev:/srv/t/", "here"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran}");
    assert!(!ran.stderr.contains("find:"), "{ran}");
    assert!(
        ran.stderr
            .contains("not everything can be read in VM dev (")
            && ran.stderr.contains("/srv/t/secret: Permission denied")
            && ran.stderr.contains("\nhint: "),
        "{ran}"
    );
}
