//! Commands in VMs of the real engine: their input, their surroundings, signals, and several VMs at once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use snapbox::{assert_data_eq, str};

use crate::common::{Home, Ran, guest_user, signal};

/// A home with running VMs of these names.
fn home(names: &[&str]) -> Home {
    let home = Home::new();
    for name in names {
        home.ok(&["--local", "launch", "-n", name, "-o", "id"]);
    }
    home
}

/// Runs a command whose standard input holds some bytes and then ends.
fn fed(home: &Home, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = home.spawn(arguments);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input closes it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran::of(&output)
}

/// Starts a command and waits until it has said a line.
fn started(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (child, stdout, line)
}

fn code(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait().unwrap();
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap())
}

#[test]
fn input_of_any_size_and_any_bytes_arrives_and_leaves_nothing() {
    let home = home(&["dev"]);
    for size in [0, 1, 1024 * 1024, 1024 * 1024 + 1, 5_000_000] {
        let bytes: Vec<u8> = (0..=255_u8).rev().cycle().take(size).collect();
        std::fs::write(home.join("input"), &bytes).unwrap();
        let here = Command::new("sha256sum")
            .stdin(std::fs::File::open(home.join("input")).unwrap())
            .output()
            .unwrap();
        let here = String::from_utf8(here.stdout).unwrap();
        let piped = fed(
            &home,
            &["--local", "exec", "-i", "dev", "--", "sha256sum"],
            &bytes,
        );
        assert_eq!(piped.stdout, here, "{size} {piped}");
        let file = [
            "--local",
            "exec",
            "--stdin-file",
            "input",
            "dev",
            "--",
            "sha256sum",
        ];
        assert_eq!(home.run(&file).stdout, here, "{size}");
    }
    assert_eq!(home.ok(&["--local", "exec", "dev", "ls -A /tmp"]), "");
}

#[test]
fn input_is_never_read_unasked_and_a_pipe_that_is_left_is_told_once() {
    let home = home(&["dev"]);
    let ran = fed(&home, &["--local", "exec", "dev", "cat; echo end"], b"data");
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
end
--- stderr
warning: standard input has data that the command does not get: send it with -i, or use `< /dev/null`
--- exit 0
"#]]
    );
    let script = r#"printf '1\n2\n3\n' | while read n; do "$0" --local exec dev "echo $n"; done"#;
    let mut looped = home.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(looped.get_program());
    for (name, value) in looped.get_envs() {
        shell.env(name, value.unwrap());
    }
    let output = shell.current_dir(home.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n2\n3\n");
    // A pipe that stays open and empty holds nothing up.
    let mut child = looped
        .args(["--local", "exec", "dev", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let _open = child.stdin.take();
    assert_eq!(code(&mut child), 0);
}

#[test]
fn a_missing_input_file_runs_nothing() {
    let home = home(&["dev"]);
    assert_data_eq!(
        home.run(&[
            "--local",
            "exec",
            "--stdin-file",
            "nope",
            "dev",
            "--",
            "cat"
        ])
        .to_string(),
        str![[r#"
--- stderr
error: cannot read nope: No such file or directory
--- exit 125
"#]]
    );
}

#[test]
fn folder_user_and_variables_surround_the_command_word_by_word() {
    let user = guest_user();
    let home = home(&["dev"]).set("FROM_HERE", "h e'r\"e");
    std::fs::write(home.join("vars"), "# comment\nFILE=$x \"q\"\nA=lost\n").unwrap();
    let out = home.ok(&[
        "--local",
        "exec",
        "--env-file",
        "vars",
        "-e",
        "A=b  c",
        "-e",
        "FROM_HERE",
        "-w",
        "/usr/lib",
        "-u",
        user,
        "dev",
        "--",
        "sh",
        "-c",
        "pwd; id -un; echo \"$A|$FROM_HERE|$FILE|$USER\"; printf '<%s>' \"$@\"",
        "sh",
        "a b",
        "",
        "$c",
    ]);
    assert_eq!(
        out,
        format!("/usr/lib\n{user}\nb  c|h e'r\"e|$x \"q\"|{user}\n<a b><><$c>")
    );
}

#[test]
fn a_missing_folder_user_or_program_is_named_and_has_its_code() {
    let home = home(&["dev"]);
    for (options, text, wanted) in [
        (
            &["-w", "/no such"][..],
            "there is no folder /no such in the VM",
            126,
        ),
        (
            &["-w", "/etc/passwd"],
            "there is no folder /etc/passwd in the VM",
            126,
        ),
        (&["-u", "ghost"], "there is no user ghost in the VM", 126),
        (&["-e", "A=b"], "", 127),
        (&[], "no-such-program: not found", 127),
    ] {
        let arguments = [
            &["--local", "exec"],
            options,
            &["dev", "--", "no-such-program", "x"],
        ]
        .concat();
        let ran = home.run(&arguments);
        assert!(
            ran.code == wanted && ran.stderr.contains(text),
            "{options:?} {ran}"
        );
    }
    let ran = home.run(&["--local", "exec", "-w", "/", "dev", "--", "/etc"]);
    assert_eq!(ran.code, 126, "{ran}");
}

#[test]
fn the_first_signal_goes_to_the_command_whose_code_is_ours() {
    let home = home(&["dev"]);
    let script =
        "trap 'echo INT; exit 9' INT; trap 'echo TERM; exit 8' TERM; trap 'echo HUP; exit 7' HUP
        echo up; while :; do sleep 0.05; done";
    for (name, wanted) in [("INT", 9), ("TERM", 8), ("HUP", 7)] {
        let mut command = home.command(&["--local", "exec", "dev", "--", "sh", "-c", script]);
        let (mut child, mut stdout, _) = started(&mut command);
        signal(&child, name);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!((line.trim(), code(&mut child)), (name, wanted));
    }
    for (name, wanted) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut command = home.command(&["--local", "exec", "dev", "echo up; sleep 300 | cat"]);
        let (mut child, _stdout, _) = started(&mut command);
        signal(&child, name);
        assert_eq!(code(&mut child), wanted);
    }
    let left = home.run(&["--local", "exec", "dev", "pgrep sleep"]);
    assert_eq!((left.stdout.as_str(), left.code), ("", 1));
}

#[test]
fn the_second_signal_kills_and_leaves() {
    let home = home(&["dev"]);
    let script = "trap 'echo no' INT; sleep 301 & echo up; while :; do sleep 0.05; done";
    let mut command = home.command(&["--local", "exec", "dev", "--", "sh", "-c", script]);
    let (mut child, mut stdout, _) = started(&mut command);
    signal(&child, "INT");
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "no\n");
    // Two signals at once would be one.
    std::thread::sleep(std::time::Duration::from_millis(150));
    signal(&child, "INT");
    assert_eq!(code(&mut child), 130);
    let left = home.run(&[
        "--local",
        "exec",
        "dev",
        "pgrep -f 'sleep 301' | grep -v $$",
    ]);
    assert_eq!(left.stdout, "");
}

#[test]
fn several_vms_label_whole_lines_and_share_an_exit_code() {
    let home = home(&["web-1", "web-2"]);
    let mut ran = home.run(&[
        "--local",
        "exec",
        "web-1",
        "web-2",
        "--",
        "sh",
        "-c",
        "printf 'a\\nb'",
    ]);
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["web-1 | a", "web-1 | b", "web-2 | a", "web-2 | b"]);
    ran.stdout.clear();
    assert_eq!(
        ran.to_string(),
        "--- stderr\nthe command succeeded in 2 of 2 VMs\n--- exit 0"
    );
    let code = |command: &str| home.run(&["--local", "exec", "--all", command]).code;
    assert_eq!(code("exit 3"), 3);
    assert_eq!(code("[ $(hostname) = web-1 ]"), 9);
    assert_data_eq!(
        home.run(&[
            "--local",
            "exec",
            "--group",
            "--all",
            "echo same; [ $(hostname) = web-1 ]"
        ])
        .to_string(),
        str![[r#"
== web-1
same
== web-2, exit 1
same
--- stderr
error: the command failed in 1 of 2 VMs (web-2: exit 1)
--- exit 9
"#]]
    );
    assert_data_eq!(
        home.run(&["--local", "exec", "--group", "--all", "echo same"])
            .to_string(),
        str![[r#"
== web-1, web-2 (2)
same
--- stderr
the command succeeded in 2 of 2 VMs
--- exit 0
"#]]
    );
    let events = home
        .run(&["--local", "exec", "--all", "-o", "jsonl", "uname"])
        .stdout;
    assert_eq!(events.matches("\"vm\":\"web-2\"").count(), 2, "{events}");
    let array = home.run(&[
        "--local",
        "exec",
        "--all",
        "-q",
        "map(.vm)|sort|join(\" \")",
        "uname",
    ]);
    assert_eq!(array.stdout, "web-1 web-2\n", "{array}");
    let missing = home.run(&["--local", "exec", "web-1", "git", "log", "--", "x"]);
    assert!(
        missing.code == 125 && missing.stderr.contains("named \"git\""),
        "{missing}"
    );
}

/// The error object at the end of what was said.
fn report(ran: &Ran) -> serde_json::Value {
    let last = ran.stderr.lines().last().unwrap_or_default();
    let mut report: serde_json::Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("{ran}"));
    report["error"].take()
}

#[test]
fn a_command_that_fails_in_some_vms_names_them_in_json() {
    let home = home(&["web-1", "web-2", "web-3"]);
    let exec = |format: &str, command: &str| {
        home.run(&["--local", "exec", "--all", "-o", format, command])
    };
    for format in ["json", "jsonl"] {
        let ran = exec(format, "[ $(hostname) = web-1 ]");
        let report = report(&ran);
        assert_eq!((ran.code, &report["code"]), (9, &"partial".into()), "{ran}");
        assert_eq!(report["exitCode"], 9, "{ran}");
        let failed = report["failed"].as_array().unwrap();
        assert_eq!(failed.len(), 2, "{ran}");
        let id = home.ok(&["--local", "vm", "get", "web-2", "-o", "id"]);
        assert_eq!(
            (&failed[0]["target"], &failed[0]["id"]),
            (&id.clone().into(), &id.clone().into())
        );
        assert_eq!(failed[0]["code"], "command_failed", "{ran}");
        assert_eq!(
            failed[0]["message"],
            format!("VM web-2 ({id}): the command ended with 1")
        );
    }
    let alike = exec("json", "exit 3");
    assert_eq!(
        (alike.code, &report(&alike)["exitCode"]),
        (3, &3.into()),
        "{alike}"
    );
    let unlike = exec("json", "exit $(hostname | tail -c 2)");
    assert_eq!(
        (unlike.code, &report(&unlike)["exitCode"]),
        (1, &1.into()),
        "{unlike}"
    );
    home.ok(&["--local", "vm", "pause", "web-2", "--quiet"]);
    let paused = home.run(&[
        "--local", "exec", "-o", "json", "web-1", "web-2", "--", "true",
    ]);
    let report = report(&paused);
    assert_eq!(
        (paused.code, &report["code"]),
        (9, &"partial".into()),
        "{paused}"
    );
    assert_eq!(report["failed"][0]["code"], "conflict", "{paused}");
    assert_eq!(report["failed"][0]["target"], "web-2", "{paused}");
    let fine = exec("json", "true");
    assert_eq!(
        (fine.code, fine.json().as_array().unwrap().len()),
        (0, 2),
        "{fine}"
    );
}

#[test]
fn events_hold_what_the_api_says_and_no_more() {
    let home = home(&["dev"]);
    let last = |options: &[&str], command: &str| {
        let exec = ["--local", "exec", "-o", "jsonl"];
        let ran = home.run(&[&exec, options, &["dev", command]].concat());
        let mut event: serde_json::Value =
            serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
        assert!(event["ms"].is_u64(), "{ran}");
        event.as_object_mut().unwrap().remove("ms");
        event.to_string()
    };
    assert_eq!(last(&[], "echo x"), r#"{"t":"x","c":0}"#);
    assert_eq!(last(&[], "exit 3"), r#"{"t":"x","c":3}"#);
    assert_eq!(
        last(&["--timeout", "1s"], "sleep 60"),
        r#"{"t":"x","c":124,"to":true}"#
    );
}

#[test]
fn fail_fast_ends_the_others_and_starts_no_more() {
    let home = home(&["web-1", "web-2"]);
    let command = "[ $(hostname) = web-2 ] && exit 4; sleep 302";
    let ran = home.run(&["--local", "exec", "--fail-fast", "--all", command]);
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("1 ended early or not started"), "{ran}");
    assert_eq!(
        home.run(&["--local", "exec", "web-1", "pgrep sleep"]).code,
        1
    );
}

#[test]
fn run_deletes_its_vm_unless_it_is_to_be_kept() {
    let home = Home::new();
    let vms = || home.ok(&["--local", "ls", "-o", "id"]);
    let ran = fed(
        &home,
        &[
            "--local",
            "run",
            "-i",
            "-w",
            "/etc",
            "--",
            "sh",
            "-c",
            "pwd; cat; exit 5",
        ],
        b"in\n",
    );
    assert_eq!(
        (ran.stdout.as_str(), ran.code, vms().as_str()),
        ("/etc\nin\n", 5, ""),
        "{ran}"
    );
    let large = vec![b'x'; 3_000_000];
    let ran = fed(&home, &["--local", "run", "-i", "wc -c"], &large);
    assert_eq!(
        (ran.stdout.as_str(), vms().as_str()),
        ("3000000\n", ""),
        "{ran}"
    );
    assert_eq!(
        home.run(&["--local", "run", "--keep-on-failure", "true"])
            .code,
        0
    );
    assert_eq!(vms(), "");
    let kept = home.run(&["--local", "run", "--keep-on-failure", "false"]);
    assert_eq!(kept.code, 1);
    assert!(
        kept.stderr
            .contains(&format!("fastvm --local vm delete {}", vms())),
        "{kept}"
    );
    home.ok(&["--local", "run", "--keep", "true"]);
    assert_eq!(vms().lines().count(), 2);
}
