//! Jobs: commands in a VM that live on without us.

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use crate::common::{
    Break, FaultProxy, Front, Home, Link, Ran, Say, Served, Way, guest_user, skip,
};

/// A home with a VM of its own.
struct Vm {
    home: Home,
}

/// The job of an id: those that were started in one second are listed in any order.
fn with_id<'a>(jobs: &'a [Value], id: &str) -> &'a Value {
    jobs.iter().find(|job| job["id"] == id).unwrap()
}

impl Vm {
    fn new() -> Self {
        Self::launched(&[])
    }

    fn launched(options: &[&str]) -> Self {
        let home = Home::new().set("FASTVM_CONTEXT", "local");
        home.ok(&[&["launch", "-n", "dev"], options].concat());
        Self { home }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run(arguments)
    }

    /// Starts a job, and returns its id.
    fn start(&self, arguments: &[&str]) -> String {
        self.home.ok(&[&["exec", "-d"], arguments].concat())
    }

    /// What a shell line in the VM prints.
    fn sh(&self, line: &str) -> String {
        self.home.ok(&["exec", "dev", "--", "/bin/sh", "-c", line])
    }

    /// The jobs of the VM as JSON.
    fn jobs(&self) -> Vec<Value> {
        self.job_of("dev")
    }

    fn job_of(&self, vm: &str) -> Vec<Value> {
        let listed = self.run(&["job", "list", vm, "-o", "json"]);
        assert_eq!(listed.code, 0, "{listed}");
        listed.json().as_array().unwrap().clone()
    }

    /// The one job of the VM.
    fn job(&self) -> Value {
        let mut jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.pop().unwrap()
    }

    /// Begins a command whose output is read by the test.
    fn spawn(&self, arguments: &[&str]) -> Child {
        self.home
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Waits until something holds.
#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    // More than a busy machine needs: a test that waits for what does not come must end too.
    for _ in 0..600 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it never came to hold");
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_job_is_started_and_its_output_and_code_are_kept() {
    let vm = Vm::new();
    let started = vm.run(&["exec", "-d", "dev", "echo out; echo err >&2; exit 7"]);
    let id = started.stdout.trim().to_owned();
    assert_eq!((started.code, id.len()), (0, 12), "{started}");
    assert_eq!(started.to_string(), format!("{id}\n--- exit 0"));
    let waited = vm.run(&["job", "wait", "dev", &id]);
    assert_eq!(waited.to_string(), "--- exit 7");
    assert_data_eq!(
        vm.run(&["job", "logs", "dev", &id[..4]]).to_string(),
        str![[r#"
out
--- stderr
err
--- exit 0
"#]]
    );
    assert_data_eq!(
        vm.run(&["job", "attach", "dev", &id]).to_string(),
        str![[r#"
out
--- stderr
err
--- exit 7
"#]]
    );
    assert_eq!(vm.home.ok(&["job", "logs", "--stderr", "dev", &id]), "");
    let job = vm.job();
    assert_eq!(
        job["command"],
        json!(["sh", "-c", "echo out; echo err >&2; exit 7"])
    );
    assert_eq!(
        (&job["state"], &job["exitCode"]),
        (&json!("exited"), &json!(7))
    );
    assert_eq!(
        (&job["stdoutBytes"], &job["stderrBytes"]),
        (&json!(4), &json!(4))
    );
    let mode = vm.sh("stat -c %a /var/tmp/fastvm-jobs /var/tmp/fastvm-jobs/*; pgrep -fc 'sh [.]/run [0-9a-f]+ '; true");
    assert_eq!(mode, "700\n700\n0");
}

#[test]
fn words_arrive_as_they_are_and_are_listed_so() {
    let vm = Vm::new();
    let words = [
        "a  b", "c'd\"", "-n", "--", "é\n\t", "$HOME;*", "\\", "", "x=y",
    ];
    let command = [&["printf", "[%s]"], &words[..]].concat();
    let id = vm.start(&[&["-e", "A=b'  \"c", "dev", "--"], &command[..]].concat());
    vm.run(&["job", "wait", "dev", &id]);
    let expected: String = words.iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(vm.run(&["job", "logs", "dev", &id]).stdout, expected);
    assert_eq!(vm.job()["command"], json!(command));
    let listed = vm.run(&["job", "list", "dev"]);
    assert_eq!(listed.stdout.lines().count(), 2, "{listed}");
    let id = vm.start(&["dev", "--", "printf", "%s", "\u{1b}[31m"]);
    vm.run(&["job", "wait", "dev", &id]);
    let listed = vm.run(&["job", "list", "dev"]);
    assert!(listed.stdout.contains(r"\x1b[31m"), "{listed}");
    let long = "w".repeat(100_000);
    let id = vm.start(&["dev", "--", "printf", "%.3s", &long]);
    assert_eq!(vm.home.ok(&["job", "logs", "-f", "dev", &id]), "www");
    assert_eq!(with_id(&vm.jobs(), &id)["commandCut"], true);
}

#[test]
fn what_is_around_a_command_is_around_a_job() {
    let vm = Vm::new();
    let mut child = vm
        .home
        .command(&[
            "exec",
            "-d",
            "-i",
            "-u",
            guest_user(),
            "-w",
            "/tmp",
            "-e",
            "A=b c",
            "dev",
            "id -un; pwd; echo $A; umask; cat; kill -INT $$; echo not reached",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"the input\n").unwrap();
    let id = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let id = id.trim();
    assert_data_eq!(
        vm.run(&["job", "attach", "dev", id]).to_string(),
        str![[r#"
[..]
/tmp
b c
0022
the input
--- exit 130
"#]]
    );
    assert_eq!(vm.job()["signal"], "INT");
    let large = vm.home.join("large");
    std::fs::write(&large, vec![b'x'; (1 << 20) + 1]).unwrap();
    let refused = vm.run(&["exec", "-d", "--stdin-file", "large", "dev", "cat"]);
    assert_data_eq!(
        refused.to_string(),
        str![[r#"
--- stderr
error: the standard input of a job has at most 1 MiB
hint: copy it into the VM with `fastvm cp FILE VM:PATH`, and read it there: `fastvm exec -d VM 'COMMAND < PATH'`
--- exit 2
"#]]
    );
    std::fs::write(&large, vec![b'x'; 1 << 20]).unwrap();
    let id = vm.start(&["--stdin-file", "large", "dev", "wc -c"]);
    assert_eq!(vm.home.ok(&["job", "attach", "dev", &id]), "1048576");
    assert_eq!(
        vm.sh("ls /var/tmp/fastvm-jobs/*/input 2>/dev/null; true"),
        ""
    );
}

#[test]
fn a_command_that_cannot_begin_is_no_job() {
    let vm = Vm::new();
    for (arguments, code, said) in [
        (
            &["dev", "no-such-program"][..],
            127,
            "did not find the command: no-such-program: not found",
        ),
        (
            &["dev", "--", "/no/such", "x"],
            127,
            "did not find the command: /no/such: not found",
        ),
        (
            &["dev", "--", "/etc", "x"],
            126,
            "could not execute the command: /etc: Permission denied",
        ),
        (
            &["-w", "/no/such", "dev", "ls"],
            126,
            "there is no folder /no/such in the VM",
        ),
        (
            &["-u", "no-such-user", "dev", "ls"],
            126,
            "there is no user no-such-user in the VM",
        ),
        (
            &["-u", guest_user(), "dev", "--", "/no/such"],
            127,
            "/no/such: not found",
        ),
    ] {
        let ran = vm.run(&[&["exec", "-d"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran}");
        assert!(
            ran.stderr.starts_with("error: VM dev (") && ran.stderr.contains(said),
            "{ran}"
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    }
    assert!(vm.jobs().is_empty());
    assert_eq!(
        vm.sh("ls -A /var/tmp/fastvm-jobs; pgrep -fc 'sh [.]/run [0-9a-f]+ '; true"),
        "0"
    );
    // A program that ends at once with such a code has begun.
    let id = vm.start(&["dev", "--", "sh", "-c", "exit 127"]);
    assert_eq!(vm.run(&["job", "wait", "dev", &id]).code, 127);
}

#[test]
fn a_time_limit_ends_a_job_and_all_it_started() {
    let vm = Vm::new();
    let id = vm.start(&[
        "--timeout",
        "1s",
        "dev",
        "trap '' TERM; sleep 1234; sleep 1234",
    ]);
    assert_eq!(vm.run(&["job", "wait", "dev", &id]).code, 124);
    let job = vm.job();
    assert_eq!(
        (&job["state"], &job["timedOut"]),
        (&json!("killed"), &json!(true))
    );
    assert!(vm.home.ok(&["job", "list", "dev"]).contains("timed out"));
    until(|| vm.sh("pgrep -fxc 'sleep 1234'; true") == "0");
    let id = vm.start(&["--timeout", "1h", "dev", "exit 3"]);
    assert_eq!(vm.run(&["job", "wait", "dev", &id]).code, 3);
    // The clock of a job that has ended is not left.
    until(|| vm.sh("pgrep -fxc 'sleep 3600'; true") == "0");
}

#[test]
fn a_job_lives_on_when_its_caller_is_killed() {
    let vm = Vm::new();
    let id = vm.start(&[
        "dev",
        "echo first; until [ -e /root/go ]; do sleep 0.05; done; echo last; exit 4",
    ]);
    let mut attached = vm.spawn(&["job", "attach", "dev", &id]);
    let mut first = [0; 6];
    std::io::Read::read_exact(attached.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"first\n");
    kill(&mut attached);
    // A client that is killed at any moment of a start leaves a whole job or none.
    for moment in [0, 5, 10, 15, 20, 30, 40, 60] {
        let mut starting = vm.spawn(&["exec", "-d", "dev", "--", "sleep", "4321"]);
        std::thread::sleep(std::time::Duration::from_millis(moment));
        kill(&mut starting);
    }
    vm.sh("touch /root/go");
    let attached = vm.run(&["job", "attach", "dev", &id]);
    assert_eq!(
        (attached.code, attached.stdout.as_str()),
        (4, "first\nlast\n"),
        "{attached}"
    );
    until(|| vm.sh("pgrep -f 'time is u[p]' | wc -l") == "0");
    until(|| {
        // It removes what the others left.
        vm.start(&["dev", "true"]);
        let jobs = vm.jobs();
        let running = jobs.iter().filter(|job| job["state"] == "running").count();
        jobs.iter()
            .all(|job| job["state"] != "lost" && job["command"] != json!([]))
            && vm.sh("pgrep -fxc 'sleep 4321'; true") == running.to_string()
            && vm.sh("ls -A /var/tmp/fastvm-jobs | wc -l") == jobs.len().to_string()
    });
}

#[test]
fn a_start_that_is_killed_leaves_no_job_and_one_that_goes_on_is_left_alone() {
    let served = Served::start();
    // The program that takes the job over kills its caller, at its worst moment.
    served.sh(
        "printf '#!/bin/sh\nkill -9 $(ps -o ppid= -p $PPID)\n' >/srv/tools/setsid; chmod 755 /srv/tools/setsid",
    );
    let killed = served.client().run(&["exec", "-d", "dev", "true"]);
    assert_eq!(killed.code, 125, "{killed}");
    served.sh("rm /srv/tools/setsid");
    let folder = "/var/tmp/fastvm-jobs";
    let left = served.sh(&format!("LC_ALL=C ls -A {folder}"));
    assert!(left.starts_with(".new-"), "{left}");
    assert_eq!(served.client().ok(&["job", "list", "dev", "-o", "id"]), "");
    let begins = "sleep 1000 & read -r line </proc/$!/stat; set -- $line; read -r boot </proc/sys/kernel/random/boot_id
        echo .new-$!.${22}.$boot.aaaaaaaaaaaa";
    let begins = served.sh(&format!(
        "{{ {begins}; }} >/root/name; mkdir {folder}/$(cat /root/name); cat /root/name"
    ));
    let id = served.client().ok(&["exec", "-d", "dev", "sleep 1000"]);
    let listed = served.client().run(&["job", "list", "dev", "-o", "json"]);
    assert_eq!(listed.json()[0]["state"], "running", "{listed}");
    assert_eq!(
        served.sh(&format!("LC_ALL=C ls -A {folder}")),
        format!("{begins}\n{id}")
    );
}

#[test]
fn the_state_of_a_job_that_ends_changes_at_once() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "until [ -e /root/go ]; do sleep 0.05; done"]);
    // Whoever has opened it reads what was there, however long that takes.
    let line = format!(
        "exec 3</var/tmp/fastvm-jobs/{id}/state; touch /root/go
        while grep -q running /var/tmp/fastvm-jobs/{id}/state; do sleep 0.05; done; cut -d' ' -f1 <&3"
    );
    assert_eq!(vm.sh(&line), "running");
    assert_eq!(vm.job()["state"], "exited");
}

#[test]
fn a_request_to_start_that_comes_twice_is_one_job() {
    let served = Served::start();
    let front = Front::new(served.url(), "uploadUrl", |asked| {
        match asked.body.contains("Starts a job") {
            true => Say::PassTwice,
            false => Say::Pass,
        }
    });
    let client = served.client().set("FASTVM_BASE_URL", front.url());
    let line = "echo x >>/root/runs; sleep 1000";
    let id = client.ok(&["exec", "-d", "dev", line]);
    let listed = client.ok(&["job", "list", "dev", "-o", "id"]);
    assert_eq!(
        (listed.as_str(), served.sh("cat /root/runs").as_str()),
        (id.as_str(), "x")
    );
    assert_eq!(served.sh("ls -A /var/tmp/fastvm-jobs"), id);
}

#[test]
fn a_signal_reaches_all_groups_of_a_job() {
    let vm = Vm::new();
    let line = "set -m; sleep 5678 & sleep 5678 & echo ready; wait";
    let id = vm.start(&["dev", "--", "bash", "-c", line]);
    until(|| vm.sh("pgrep -fxc 'sleep 5678'; true") == "2");
    let sent = vm.run(&["job", "kill", "-s", "SIGKILL", "dev", &id]);
    assert_eq!(sent.code, 0, "{sent}");
    until(|| vm.sh("pgrep -fxc 'sleep 5678'; true") == "0");
    assert_eq!(vm.run(&["job", "wait", "dev", &id]).code, 137);
    assert_eq!(vm.job()["signal"], "KILL");
    let again = vm.run(&["job", "kill", "dev", &id]);
    assert_eq!(again.code, 5, "{again}");
    assert!(
        again.stderr.contains(&format!("job {id} does not run")),
        "{again}"
    );
    assert!(again.stderr.contains("`fastvm job list dev`"), "{again}");
    assert_eq!(vm.run(&["job", "kill", "-s", "TERM 1", "dev", &id]).code, 2);
    // A shell that ignores a signal goes on, and its words are the job's.
    let id = vm.start(&[
        "dev",
        "trap 'echo heard' USR1; echo ready; while :; do sleep 0.05; done",
    ]);
    until(|| vm.home.ok(&["job", "logs", "dev", &id]) == "ready");
    vm.home.ok(&["job", "kill", "-s", "usr1", "dev", &id]);
    until(|| vm.home.ok(&["job", "logs", "dev", &id]) == "ready\nheard");
    assert_eq!(with_id(&vm.jobs(), &id)["state"], "running");
}

#[test]
fn jobs_are_removed_but_not_while_they_run() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "sleep 8765"]);
    let refused = vm.run(&["job", "rm", "dev", &id]);
    assert_eq!(refused.code, 5, "{refused}");
    assert!(
        refused
            .stderr
            .contains(&format!("`fastvm job kill dev {id}`")),
        "{refused}"
    );
    let ended = vm.start(&["dev", "true"]);
    vm.run(&["job", "wait", "dev", &ended]);
    assert!(
        vm.run(&["job", "rm", "dev", "--finished"])
            .stderr
            .contains("removed 1 job of")
    );
    assert_eq!(vm.job()["id"], json!(id));
    assert_eq!(vm.run(&["job", "rm", "--force", "dev", &id[..6]]).code, 0);
    assert!(vm.jobs().is_empty());
    assert_eq!(
        vm.sh("ls -A /var/tmp/fastvm-jobs; pgrep -fx 'sleep 8765'; true"),
        ""
    );
    assert_data_eq!(
        vm.run(&["job", "rm", "dev", "--finished"]).stderr.trim(),
        str!["removed 0 jobs of VM dev ([..])"]
    );
}

#[test]
fn two_who_remove_one_job_do_not_get_in_each_others_way() {
    let vm = Vm::new();
    for _ in 0..5 {
        let id = vm.start(&["dev", "true"]);
        vm.run(&["job", "wait", "dev", &id]);
        let rivals: Vec<_> = (0..2)
            .map(|_| vm.spawn(&["job", "rm", "dev", &id]))
            .collect();
        let codes = rivals
            .into_iter()
            .map(|rival| Ran::of(&rival.wait_with_output().unwrap()));
        let mut codes: Vec<_> = codes.map(|ran| ran.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 3]);
        assert_eq!(vm.sh("ls -A /var/tmp/fastvm-jobs"), "");
    }
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let vm = Vm::new();
    for verb in ["logs", "attach", "wait", "kill", "rm"] {
        let ran = vm.run(&["job", verb, "dev", "abcd1234"]);
        let code = if ["attach", "wait"].contains(&verb) {
            125
        } else {
            3
        };
        assert_eq!(ran.code, code, "{ran}");
        assert!(ran.stderr.contains("there is no job abcd1234"), "{ran}");
        assert!(
            ran.stderr
                .contains("hint: see its jobs with `fastvm job list dev`"),
            "{ran}"
        );
        assert_eq!(vm.run(&["job", verb, "nowhere", "abcd1234"]).code, code);
    }
    assert_eq!(vm.run(&["job", "logs", "dev", "../../../etc"]).code, 3);
    assert_data_eq!(
        vm.run(&["job", "list", "dev"]).to_string(),
        str!["--- exit 0"]
    );
    assert_eq!(vm.run(&["job", "list"]).code, 2);
    assert_eq!(vm.run(&["exec", "-d", "--group", "dev", "ls"]).code, 2);
    assert_eq!(vm.run(&["exec", "--log-limit", "1M", "dev", "ls"]).code, 2);
    assert_eq!(
        vm.run(&["exec", "-d", "--log-limit", "1K", "dev", "ls"])
            .code,
        2
    );
    let id = vm.start(&["dev", "sleep 1000"]);
    vm.home.ok(&["vm", "pause", "dev"]);
    for arguments in [
        &["job", "list", "dev"][..],
        &["job", "logs", "dev", &id],
        &["exec", "-d", "dev", "ls"],
    ] {
        let ran = vm.run(arguments);
        assert!(ran.code != 0 && ran.stderr.contains("is paused"), "{ran}");
        assert!(ran.stderr.contains("`fastvm vm resume dev`"), "{ran}");
    }
    vm.home.ok(&["vm", "resume", "dev"]);
    assert_eq!(vm.job()["state"], "running");
}

#[test]
fn a_prefix_that_several_ids_have_is_refused() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "true"]);
    vm.run(&["job", "wait", "dev", &id]);
    copy_job(&vm, &id, &["aaaa00000001", "aaaa00000002"]);
    let ran = vm.run(&["job", "logs", "dev", "AAAA"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("aaaa00000001, aaaa00000002"), "{ran}");
    assert_eq!(vm.run(&["job", "logs", "dev", "aaaa00000001"]).code, 0);
    assert_eq!(vm.run(&["job", "logs", "dev", "aaa"]).code, 3);
}

/// Makes copies of a job that has ended.
fn copy_job(vm: &Vm, id: &str, copies: &[&str]) {
    let folder = "/var/tmp/fastvm-jobs";
    vm.sh(&format!(
        "cd {folder}; for copy in {}; do cp -r {id} $copy; sed -i s/{id}/$copy/ $copy/info; done",
        copies.join(" ")
    ));
}

#[test]
fn the_last_bytes_of_a_log_are_kept_and_what_is_dropped_is_counted() {
    let vm = Vm::new();
    let line = "seq 1 200000; seq 1 10 >&2";
    let id = vm.start(&["--log-limit", "64k", "dev", line]);
    vm.run(&["job", "wait", "dev", &id]);
    let whole: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    until(|| vm.job()["stdoutBytes"] == json!(whole.len()));
    let logs = vm.run(&["job", "logs", "dev", &id]);
    let job = vm.job();
    let dropped = usize::try_from(job["stdoutDropped"].as_u64().unwrap()).unwrap();
    assert_eq!(logs.stdout, whole[dropped..]);
    assert!(
        (48 << 10..=64 << 10).contains(&logs.stdout.len()),
        "{}",
        logs.stdout.len()
    );
    assert!(
        logs.stderr
            .contains(&format!("({dropped} bytes) are not kept any more")),
        "{}",
        logs.stderr
    );
    assert_eq!(job["stderrDropped"], 0);
    let tail = vm.run(&["job", "logs", "--tail", "2", "dev", &id]);
    assert_eq!(
        tail.to_string(),
        "199999\n200000\n--- stderr\n9\n10\n--- exit 0"
    );
    let none = vm.run(&["job", "attach", "--tail", "0", "dev", &id]);
    assert_eq!(none.to_string(), "--- exit 0");
    let kept = vm
        .sh("cat /var/tmp/fastvm-jobs/*/out.* | wc -c")
        .parse::<usize>()
        .unwrap();
    assert!(kept <= 64 << 10, "{kept}");
    let id = vm.start(&["--log-limit", "0", "dev", "seq 1 200000"]);
    assert_eq!(vm.run(&["job", "attach", "dev", &id]).stdout, whole);
}

#[test]
fn a_log_is_followed_while_its_files_change() {
    let vm = Vm::new();
    let line =
        "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line-$i; done; sleep 0.3; echo end";
    let id = vm.start(&["--log-limit", "64k", "dev", line]);
    let followed = vm.run(&["job", "logs", "-f", "dev", &id]);
    let mut lines: Vec<_> = followed.stdout.lines().collect();
    assert_eq!(lines.pop(), Some("end"));
    let skips = followed.stderr.matches("are not kept any more").count();
    let numbers = lines
        .iter()
        .filter_map(|line| line.strip_prefix("line-")?.parse().ok());
    let numbers: Vec<u32> = numbers.collect();
    let steps: Vec<_> = numbers
        .windows(2)
        .filter(|pair| pair[1] != pair[0] + 1)
        .collect();
    assert!(steps.len() <= skips, "{steps:?}\n{}", followed.stderr);
    assert!(steps.iter().all(|pair| pair[1] > pair[0]), "{steps:?}");
    assert_eq!(numbers.last(), Some(&30000));
}

#[test]
fn a_connection_that_breaks_is_taken_up_at_the_byte_where_it_broke() {
    let served = Served::start();
    let wire = FaultProxy::new(served.url(), Link::default());
    let client = served.client();
    let id = client.ok(&[
        "exec",
        "-d",
        "dev",
        "seq 1 100000; sleep 1; seq 1 100000 >&2; exit 9",
    ]);
    let client = client.set("FASTVM_BASE_URL", &wire.url());
    let attached = client
        .command(&["job", "attach", "dev", &id])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wire.break_after(Way::Down, 200_000, Break::Cut);
    until(|| wire.has_broken(Way::Down));
    wire.break_after(Way::Down, 100_000, Break::Reset);
    let ran = Ran::of(&attached.wait_with_output().unwrap());
    let whole: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(wire.has_broken(Way::Down));
    assert_eq!((ran.code, ran.stdout == whole), (9, true));
    let said = ran
        .stderr
        .replace("the connection broke; trying again\n", "");
    assert!(said == whole, "{} of {}", said.len(), whole.len());
    assert!(ran.stderr.contains("trying again"));
}

#[test]
fn a_start_whose_answer_is_lost_is_one_job() {
    let served = Served::start();
    let front = Front::new(served.url(), "uploadUrl", |asked| {
        match asked.body.contains("Starts a job") {
            true => Say::LoseAnswer,
            false => Say::Pass,
        }
    });
    let client = served.client().set("FASTVM_BASE_URL", front.url());
    let started = client.run(&["exec", "-d", "dev", "sleep 1000"]);
    assert_eq!(started.code, 0, "{started}");
    let listed = served.client().run(&["job", "list", "dev", "-o", "id"]);
    assert_eq!(listed.stdout, started.stdout, "{listed}");
    let front = Front::new(served.url(), "uploadUrl", |asked| {
        match asked.line.ends_with("/exec") {
            true => Say::Answer(
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n".to_owned(),
            ),
            false => Say::Pass,
        }
    });
    let client = served.client().set("FASTVM_BASE_URL", front.url());
    let unknown = client.run(&["exec", "-d", "dev", "sleep 1000"]);
    assert_eq!(
        (unknown.code, unknown.stdout.as_str()),
        (125, ""),
        "{unknown}"
    );
    assert!(
        unknown.stderr.contains("`fastvm job list dev`"),
        "{unknown}"
    );
}

#[test]
fn many_jobs_are_listed_with_one_request() {
    let served = Served::start();
    let client = served.client();
    let ended = client.ok(&["exec", "-d", "dev", "echo x; exit 2"]);
    client.run(&["job", "wait", "dev", &ended]);
    client.ok(&["exec", "-d", "dev", "sleep 1000"]);
    let ids: Vec<_> = (0..300).map(|number| format!("{number:012x}")).collect();
    let line = format!(
        "cd /var/tmp/fastvm-jobs; for copy in {}; do cp -r {ended} $copy; sed -i s/{ended}/$copy/ $copy/info; done",
        ids.join(" ")
    );
    served.sh(&line);
    let front = Front::new(served.url(), "uploadUrl", |_| Say::Pass);
    let client = served.client().set("FASTVM_BASE_URL", front.url());
    let listed = client.run(&["job", "list", "dev", "-o", "json"]).json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 302);
    assert_eq!(
        listed.iter().filter(|job| job["exitCode"] == 2).count(),
        301
    );
    assert!(listed.iter().all(|job| job["command"] != json!([])));
    assert_eq!(front.count("/exec"), 1);
    assert_eq!(client.run(&["job", "rm", "dev", "--finished"]).code, 0);
    assert_eq!(front.count("/exec"), 3);
    let left = client.run(&["job", "list", "dev", "-o", "json"]).json();
    assert_eq!(left.as_array().unwrap().len(), 1);
}

#[test]
fn a_job_in_a_copy_of_its_vm_is_lost_and_goes_on_in_a_paused_one() {
    let vm = Vm::new();
    let ended = vm.start(&["dev", "echo whole"]);
    vm.run(&["job", "wait", "dev", &ended]);
    let id = vm.start(&["dev", "echo begun; sleep 1000"]);
    until(|| vm.home.ok(&["job", "logs", "dev", &id]) == "begun");
    vm.home.ok(&["vm", "fork", "dev", "-n", "copy"]);
    let copied = vm.job_of("copy");
    assert_eq!(with_id(&copied, &ended)["state"], "exited");
    assert_eq!(with_id(&copied, &id)["state"], "lost");
    let attached = vm.run(&["job", "attach", "copy", &id]);
    assert_data_eq!(
        attached.to_string(),
        str![[r#"
begun
--- stderr
error: job [..] of VM copy ([..]) is lost: the VM was started anew, or is a copy, and nobody saw the job end
--- exit 125
"#]]
    );
    assert_eq!(vm.run(&["job", "wait", "copy", &id]).code, 125);
    assert_eq!(vm.run(&["job", "kill", "copy", &id]).code, 5);
    assert_eq!(vm.run(&["job", "rm", "copy", "--finished"]).code, 0);
    assert!(vm.job_of("copy").is_empty());
    vm.home.ok(&["vm", "pause", "dev"]);
    vm.home.ok(&["vm", "resume", "dev"]);
    assert_eq!(with_id(&vm.jobs(), &id)["state"], "running");
}

#[test]
fn a_process_with_the_number_of_a_job_is_not_taken_for_it() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "--", "sleep", "1000"]);
    // As after a start of the VM: the processes are gone, and another has the number of each.
    vm.sh(
        "cd /var/tmp/fastvm-jobs/*; pkill -9 -s $(cut -d' ' -f1 supervisor); pkill -9 -s $(cut -d' ' -f1 pid)
        sleep 1234 & pid=$!
        read -r _ start boot <supervisor; echo $pid $start $boot >supervisor
        read -r _ start <pid; echo $pid $start >pid
        while pgrep -fx 'sleep 1000' >/dev/null; do sleep 0.05; done",
    );
    assert_eq!(vm.job()["state"], "lost");
    assert_eq!(vm.run(&["job", "kill", "dev", &id]).code, 5);
    assert_eq!(vm.run(&["job", "rm", "--force", "dev", &id]).code, 0);
    assert_eq!(vm.sh("pgrep -fxc 'sleep 1234'"), "1");
}

#[test]
fn a_full_disk_is_said_and_the_job_goes_on() {
    let vm = Vm::new();
    vm.sh("mkdir -m 700 /var/tmp/fastvm-jobs; mount -t tmpfs -o size=256k,mode=700 jobs /var/tmp/fastvm-jobs");
    let id = vm.start(&[
        "dev",
        "head -c 3000000 /dev/zero; echo told > /root/end; exit 6",
    ]);
    let attached = vm.run(&["job", "attach", "dev", &id]);
    assert_eq!(attached.code, 6, "{}", attached.stderr);
    assert!(
        attached.stderr.contains("some output of the job was lost"),
        "{}",
        attached.stderr
    );
    assert!(attached.stdout.bytes().all(|byte| byte == 0) && !attached.stdout.is_empty());
    assert_eq!(vm.sh("cat /root/end"), "told");
    let job = vm.job();
    assert_eq!(
        (&job["exitCode"], &job["outputLost"]),
        (&json!(6), &json!(true))
    );
    assert!(
        vm.home
            .ok(&["job", "list", "dev"])
            .contains("exited 6, output lost")
    );
    let refused = vm.run(&["exec", "-d", "dev", "true"]);
    assert_eq!(refused.code, 125, "{refused}");
    assert!(refused.stderr.contains("its disk may be full"), "{refused}");
    assert_eq!(vm.sh("ls -A /var/tmp/fastvm-jobs"), id);
    vm.home.ok(&["job", "rm", "dev", &id]);
    let input = vm.home.join("input");
    std::fs::write(&input, vec![b'x'; 500_000]).unwrap();
    let refused = vm.run(&["exec", "-d", "--stdin-file", "input", "dev", "wc -c"]);
    assert!(
        refused.stderr.contains("the standard input does not fit"),
        "{refused}"
    );
    assert_eq!(vm.sh("ls -A /var/tmp/fastvm-jobs"), "");
}

/// All that a job can do, in a VM that is special.
fn whole_life(vm: &Vm, user: &str) {
    let id = vm.start(&["dev", "id -un; echo err >&2; exit 5"]);
    let attached = vm.run(&["job", "attach", "dev", &id]);
    assert_eq!(
        attached.to_string(),
        format!("{user}\n--- stderr\nerr\n--- exit 5")
    );
    assert_eq!(vm.job()["exitCode"], 5);
    let many = vm.start(&["--log-limit", "64k", "dev", "seq 1 50000"]);
    vm.run(&["job", "wait", "dev", &many]);
    assert_eq!(
        vm.home.ok(&["job", "logs", "--tail", "1", "dev", &many]),
        "50000"
    );
    let logs = vm.run(&["job", "logs", "dev", &many]);
    assert!(
        logs.stdout.ends_with("\n49999\n50000\n") && logs.stderr.contains("not kept"),
        "{}",
        logs.stderr
    );
    let long = vm.start(&["dev", "sleep 1000; true"]);
    vm.home.ok(&["job", "kill", "dev", &long]);
    assert_eq!(
        vm.run(&["job", "attach", "dev", &long]).to_string(),
        "--- exit 143"
    );
    let late = vm.start(&["--timeout", "1s", "dev", "sleep 1000; true"]);
    assert_eq!(vm.run(&["job", "wait", "dev", &late]).code, 124);
    let missing = vm.run(&["exec", "-d", "dev", "no-such-program"]);
    assert_eq!(missing.code, 127, "{missing}");
    assert!(
        missing.stderr.ends_with("no-such-program: not found\n"),
        "{missing}"
    );
    vm.start(&["dev", "sleep 1000"]);
    assert_eq!(vm.jobs().len(), 5);
    vm.home.ok(&["job", "rm", "dev", "--finished"]);
    let left = vm.job()["id"].as_str().unwrap().to_owned();
    vm.home.ok(&["job", "rm", "--force", "dev", &left]);
    assert!(vm.jobs().is_empty());
}

#[test]
fn jobs_need_no_more_than_busybox() {
    if crate::common::lacks("busybox") {
        return;
    }
    let vm = Vm::launched(&["-e", "PATH=/opt/tools"]);
    vm.sh("export PATH=/usr/bin:/bin; mkdir /opt/tools
        for tool in $(busybox --list); do ln -s $(command -v busybox) /opt/tools/$tool; done");
    whole_life(&vm, "root");
    let id = vm.start(&["-u", guest_user(), "dev", "id -un"]);
    assert_eq!(vm.home.ok(&["job", "attach", "dev", &id]), guest_user());
}

#[test]
fn jobs_of_a_user_who_is_not_root_are_that_users() {
    if guest_user() == "root" {
        skip("VMs of an ordinary user have no user but root");
        return;
    }
    let vm = Vm::launched(&["-e", "PATH=/opt/other:/usr/bin:/bin"]);
    // All scripts and commands run as nobody from here on.
    vm.sh(r#"mkdir -m 755 /opt/other; cat >/opt/other/sh <<'END'
#!/bin/sh
[ "$(id -u)" != 0 ] || exec setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh "$@"
exec /bin/sh "$@"
END
chmod 755 /opt/other/sh"#);
    whole_life(&vm, "nobody");
    let theirs = vm.start(&["dev", "sleep 1000"]);
    assert_eq!(vm.sh("stat -c '%U %a' /var/tmp/fastvm-jobs"), "nobody 700");
    vm.sh("mv /opt/other /opt/away");
    assert!(vm.jobs().is_empty());
    assert_eq!(vm.run(&["job", "kill", "dev", &theirs]).code, 3);
    let own = vm.start(&["dev", "true"]);
    assert_eq!(vm.job()["id"], json!(own));
    assert_eq!(vm.sh("stat -c '%U %a' /var/tmp/fastvm-jobs-0"), "root 700");
    vm.sh("mv /opt/away /opt/other");
    assert_eq!(vm.job()["id"], json!(theirs));
    // A link that somebody has put there is not followed.
    vm.sh("rm -rf /var/tmp/fastvm-jobs*; ln -s /tmp /var/tmp/fastvm-jobs; ln -s /tmp /var/tmp/fastvm-jobs-65534");
    let refused = vm.run(&["exec", "-d", "dev", "true"]);
    assert!(
        refused.code == 125 && refused.stderr.contains("no folder for jobs"),
        "{refused}"
    );
}

#[test]
fn jobs_start_in_several_vms_at_once() {
    let vm = Vm::new();
    vm.home.ok(&["launch", "-n", "web"]);
    let started = vm.run(&["exec", "-d", "dev", "web", "--", "sleep", "1000"]);
    let lines: Vec<_> = started.stdout.lines().collect();
    assert_eq!((started.code, lines.len()), (0, 2), "{started}");
    assert!(
        lines[0].starts_with("dev ") && lines[1].starts_with("web "),
        "{started}"
    );
    let all = vm.run(&["job", "list", "--all", "-o", "json"]).json();
    let ids: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].clone())
        .collect();
    let printed: Vec<_> = lines
        .iter()
        .map(|line| json!(line.split(' ').nth(1).unwrap()))
        .collect();
    assert_eq!(ids, printed);
    let one = vm
        .run(&["exec", "-d", "-o", "json", "dev", "echo hi"])
        .json();
    assert_eq!(
        (&one["vm"], &one["command"]),
        (&json!("dev"), &json!(["sh", "-c", "echo hi"]))
    );
    let many = vm
        .run(&["exec", "-d", "-o", "json", "--all", "true"])
        .json();
    assert_eq!(many.as_array().unwrap().len(), 2);
    let some = vm.run(&["exec", "-d", "dev", "web", "--", "no-such-program"]);
    assert_eq!((some.code, some.stdout.as_str()), (127, ""), "{some}");
}

#[test]
fn a_list_asked_for_while_jobs_come_and_go_holds_whole_ones_alone() {
    let vm = Vm::new();
    let starter = |line: &'static str| {
        let home = Home::new().set("FASTVM_CONTEXT", "local").beside(&vm.home);
        std::thread::spawn(move || {
            for _ in 0..8 {
                let id = home.ok(&["exec", "-d", "dev", line]);
                home.run(&["job", "rm", "--force", "dev", &id]);
            }
            // The first home that goes takes the VM along.
            home
        })
    };
    let starters = [starter("true"), starter("sleep 1000; true")];
    while !starters.iter().all(std::thread::JoinHandle::is_finished) {
        for job in vm.jobs() {
            assert_ne!(job["state"], "lost", "{job}");
        }
    }
    let homes = starters.map(|starter| starter.join().unwrap());
    assert!(vm.jobs().is_empty());
    drop(homes);
}

#[test]
fn what_a_command_leaves_in_the_background_does_not_hold_its_end_up() {
    let vm = Vm::new();
    let line = "(until [ -e /root/go ]; do sleep 0.05; done; echo late) & echo main; exit 2";
    let id = vm.start(&["dev", line]);
    let attached = vm.run(&["job", "attach", "dev", &id]);
    assert_eq!(
        (attached.code, attached.stdout.as_str()),
        (2, "main\n"),
        "{attached}"
    );
    assert_eq!(vm.job()["exitCode"], 2);
    vm.sh("touch /root/go");
    until(|| vm.home.ok(&["job", "logs", "dev", &id]) == "main\nlate");
    until(|| vm.sh("pgrep -fc 'sh [.]/run [0-9a-f]+ '; true") == "0");
}

#[test]
fn a_command_finds_what_it_would_find_without_a_job() {
    let vm = Vm::new();
    let line = "env | grep -iv proxy | sort; ls /proc/self/fd | wc -l; umask; pwd; readlink /proc/self/fd/0; ulimit -a; \
                grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status; trap";
    let id = vm.start(&["dev", line]);
    assert_eq!(
        vm.run(&["job", "attach", "dev", &id]),
        vm.run(&["exec", "dev", line])
    );
}

#[test]
fn odd_files_in_the_folder_of_jobs_concern_nobody() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "echo x"]);
    vm.run(&["job", "wait", "dev", &id]);
    vm.sh(&format!(
        "cd /var/tmp/fastvm-jobs; mkdir 111111111111 not-an-id; touch file 222222222222
        echo ended 1 2 3 >not-an-id/state; printf 'running\\033[31m x y z' >111111111111/state
        head -c 30000000 /dev/zero >111111111111/info
        cd {id}; touch out.99999999999999999999999 'out.1
        job' out.x err.-1; printf '{{\"id\":\"{id}\",\"command\":7}}' >>info"
    ));
    let listed = vm.run(&["job", "list", "dev", "-o", "json"]);
    assert_eq!(listed.json().as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(
        vm.run(&["job", "logs", "dev", &id]).to_string(),
        "x\n--- exit 0"
    );
    assert_eq!(vm.run(&["job", "rm", "dev", &id]).code, 0);
}

#[test]
fn ctrl_c_leaves_an_attached_job_alone() {
    let vm = Vm::new();
    let id = vm.start(&["dev", "echo begun; sleep 1000"]);
    let mut attached = vm.spawn(&["job", "attach", "dev", &id]);
    let mut first = [0; 6];
    std::io::Read::read_exact(attached.stdout.as_mut().unwrap(), &mut first).unwrap();
    let process = rustix::process::Pid::from_child(&attached);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(&attached.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{ran}");
    assert!(
        ran.stderr
            .contains(&format!("`fastvm job attach dev {id}`")),
        "{ran}"
    );
    assert_eq!(vm.job()["state"], "running");
}
