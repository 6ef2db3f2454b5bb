//! VMs on the local engine, by the commands that a newcomer types.

use snapbox::{assert_data_eq, str};

use crate::common::Home;
use crate::common::terminal::Terminal;

#[test]
fn a_vm_is_launched_listed_shown_renamed_and_deleted() {
    let home = Home::new();
    let launched = home.run(&[
        "--local", "vm", "launch", "--type", "c1m2", "--wait", "--name", "dev",
    ]);
    assert_data_eq!(
        launched.to_string(),
        str![[r#"
launched dev ([..]); run a command in it with `fastvm --local exec dev COMMAND`
--- exit 0
"#]]
    );
    let listed = home.run(&["--local", "vm", "list", "--columns", "name,status,type"]);
    assert_data_eq!(
        listed.to_string(),
        str![[r#"
NAME  STATUS   TYPE
dev   running  c1m2
--- exit 0
"#]]
    );
    assert_eq!(
        home.ok(&["--local", "vm", "get", "dev", "-q", ".machineName"]),
        "c1m2"
    );
    assert_eq!(
        home.ok(&[
            "--local",
            "vm",
            "rename",
            "dev",
            "  two   words ",
            "-q",
            ".name"
        ]),
        "two words"
    );
    let deleted = home.run(&["--local", "vm", "delete", "two words", "--yes"]);
    assert_data_eq!(
        deleted.to_string(),
        str![[r#"
--- stderr
deleted two words ([..])
--- exit 0
"#]]
    );
    assert_eq!(home.ok(&["--local", "vm", "list", "--json"]), "[]");
}

#[test]
fn what_a_launch_sets_is_in_the_vm_and_in_its_answer() {
    let home = Home::new();
    std::fs::write(home.join("env"), "# a comment\nFROM_FILE=a b\nBOTH=file\n").unwrap();
    let vm = home.run(&[
        "--local",
        "vm",
        "launch",
        "-n",
        "x",
        "-m",
        "c2m4",
        "--env-file",
        "env",
        "-e",
        "BOTH=word",
        "--metadata",
        "env=ci",
        "--disk-gib",
        "20",
        "--json",
    ]);
    let vm = vm.json();
    assert_eq!(vm["cpu"], 2);
    assert_eq!(vm["memoryMiB"], 4096);
    assert_eq!(vm["diskGiB"], 20);
    assert_eq!(vm["metadata"], serde_json::json!({"env": "ci"}));
    assert_eq!(
        home.ok(&["--local", "exec", "x", "echo $FROM_FILE,$BOTH; nproc"]),
        "a b,word\n2"
    );
    assert_eq!(
        home.ok(&["--local", "ls", "-l", "env=ci", "-o", "name"]),
        "x"
    );
    assert_eq!(
        home.ok(&["--local", "ls", "-l", "env=prod", "-o", "name"]),
        ""
    );
}

#[test]
fn the_other_aliases_mean_the_same() {
    let home = Home::new();
    let id = home.ok(&["--local", "launch", "--machine", "c1m1", "-o", "id"]);
    assert_eq!(home.ok(&["--local", "vm", "ls", "-o", "id"]), id);
    assert_eq!(
        home.ok(&["--local", "vm", "show", &id[..8], "-o", "id"]),
        id
    );
    home.ok(&["rm", "--local", &id, "-y"]);
}

#[test]
fn an_unknown_machine_type_and_an_unknown_vm_are_named() {
    let home = Home::new();
    let ran = home.run(&["--local", "vm", "launch", "--type", "huge"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: the API refused this (400): unknown machine type "huge": use cNmM, for example c1m2
--- exit 5
"#]]
    );
    let ran = home.run(&["--local", "vm", "get", "nope"]);
    assert_data_eq!(
        ran.to_string(),
        str![[r#"
--- stderr
error: there is no VM named "nope"
hint: list them with `fastvm --local vm list`
--- exit 3
"#]]
    );
    let ran = home.run(&[
        "--local",
        "vm",
        "get",
        "00000000-0000-4000-8000-000000000000",
        "--json",
    ]);
    assert_eq!(
        (ran.code, ran.error()["code"].as_str()),
        (3, Some("not_found")),
        "{ran}"
    );
}

#[test]
fn two_vms_of_one_name_are_ambiguous() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "twin"]);
    home.ok(&["--local", "launch", "-n", "twin"]);
    let ran = home.run(&["--local", "vm", "get", "twin"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(ran.stderr.contains("names 2 VMs"), "{ran}");
}

#[test]
fn vms_outlive_the_command_that_made_them() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev"]);
    home.ok(&[
        "--local",
        "exec",
        "dev",
        "echo kept > /root/x; (sleep 300 >/dev/null 2>&1 &)",
    ]);
    assert_eq!(
        home.ok(&[
            "--local",
            "exec",
            "dev",
            "cat /root/x; cat /proc/[0-9]*/comm | grep -cx sleep"
        ]),
        "kept\n1"
    );
}

#[test]
fn every_format_prints_a_list() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "a,b"]);
    for (format, expected) in [
        ("csv", "\"a,b\""),
        ("name", "a,b"),
        ("yaml", "- id: "),
        ("jsonl", "{\"id\":\""),
    ] {
        let text = home.ok(&["--local", "ls", "-o", format]);
        assert!(text.contains(expected), "{format}: {text}");
    }
    let vm = home
        .run(&["--local", "vm", "get", "a,b", "-o", "json"])
        .json();
    let wide = home.ok(&["--local", "ls", "-o", "wide"]);
    let lines: Vec<Vec<&str>> = wide
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let header = "NAME ID STATUS TYPE CPU MEMORY DISK AGE CREATED SOURCE IPV6 METADATA FIREWALL";
    assert_eq!(lines[0].join(" "), header);
    assert!(
        lines[1].contains(&vm["createdAt"].as_str().unwrap()),
        "{wide}"
    );
    assert_eq!(lines[1].last(), Some(&"restricted"), "{wide}");
}

#[test]
fn health_and_quota_need_no_account_here() {
    let home = Home::new();
    assert_data_eq!(
        home.run(&["--local", "health"]).to_string(),
        str![[r#"
status   ok
latency  [..] ms
url      http://127.0.0.1:[..] (from the engine on this machine)
key      the engine on this machine[..]
--- exit 0
"#]]
    );
    home.ok(&["--local", "launch", "-m", "c2m4"]);
    assert_data_eq!(
        home.run(&["--local", "quota"]).to_string(),
        str![[r#"
RESOURCE       USED   LIMIT    LEFT
vCPU              2      64      62
memory (MiB)   4096  131072  126976
disk (GiB)       10    1000     990
snapshots         0     100     100
volumes           0      20      20
volumes (GiB)     0     500     500
--- exit 0
"#]]
    );
    assert_eq!(home.ok(&["--local", "quota", "-q", ".usage.vcpu"]), "2");
}

#[test]
fn a_quota_that_is_met_is_6_and_nothing_is_launched() {
    let home = Home::new();
    let ran = home.run(&["--local", "launch", "-m", "c64m256"]);
    assert_eq!(ran.code, 6, "{ran}");
    assert_eq!(home.ok(&["--local", "ls", "--json"]), "[]");
}

#[test]
fn values_of_the_environment_show_only_when_asked_for() {
    let home = Home::new();
    home.ok(&[
        "--local",
        "vm",
        "launch",
        "--name",
        "dev",
        "-e",
        "TOKEN=topsecret",
    ]);
    for quiet in [
        &["vm", "get", "dev"][..],
        &["vm", "list", "-o", "wide"],
        &["vm", "list", "-o", "csv"],
    ] {
        let shown = home.ok(&[&["--local"], quiet].concat());
        assert!(!shown.contains("topsecret"), "{shown}");
    }
    let asked = home.ok(&["--local", "vm", "get", "dev", "--columns", "env-values"]);
    assert_eq!(asked, "env-values:  TOKEN=topsecret");
}

#[test]
fn a_long_name_is_passed_on_and_the_one_that_was_kept_is_shown() {
    let home = Home::new();
    let (long, kept) = ("x".repeat(65), "x".repeat(64));
    let launch = ["--local", "vm", "launch", "--name", &long, "-q", ".name"];
    assert_eq!(home.ok(&launch), kept);
    let renamed = home.run(&["--local", "vm", "rename", &kept, &long.replace('x', "y")]);
    assert!(
        renamed
            .stdout
            .starts_with(&format!("renamed {kept} to {} (", kept.replace('x', "y")))
            && !renamed.stdout.contains("fastvm exec"),
        "{renamed}"
    );
}

#[test]
fn rules_of_an_open_firewall_are_kept_until_it_is_restricted() {
    let home = Home::new();
    let launch = [
        "--local",
        "vm",
        "launch",
        "--firewall",
        "open",
        "--rule",
        "tcp:22",
        "-o",
        "json",
    ];
    let vm = home.run(&launch).json();
    assert_eq!(vm["firewall"]["mode"], "open");
    assert_eq!(vm["firewall"]["ingress"][0]["portStart"], 22);
}

#[test]
fn a_paused_vm_says_how_it_goes_on() {
    let home = Home::new();
    home.ok(&["--local", "vm", "launch", "--name", "dev"]);
    home.ok(&["--local", "vm", "pause", "dev"]);
    for command in [
        &["exec", "dev", "true"][..],
        &["cp", "dev:/etc/passwd", "x"],
    ] {
        let ran = home.run(&[&["--local"], command].concat());
        assert!(
            ran.stderr
                .contains(") is paused\nhint: resume it with `fastvm --local vm resume dev`\n"),
            "{ran}"
        );
    }
}

#[test]
fn ages_are_sorted_as_ages_and_are_numbers_for_programs() {
    let home = Home::new();
    home.ok(&["--local", "vm", "launch", "--name", "old"]);
    home.ok(&["--local", "vm", "launch", "--name", "young"]);
    let sorted = |by| home.ok(&["--local", "vm", "list", "-o", "name", "--sort", by]);
    assert_eq!(sorted("age"), "young\nold");
    assert_eq!(sorted("created"), "old\nyoung");
    let ages = home.ok(&[
        "--local",
        "vm",
        "list",
        "-o",
        "csv",
        "--columns",
        "age",
        "--no-header",
    ]);
    assert!(ages.lines().all(|age| age.parse::<u64>().is_ok()), "{ages}");
    let times = [
        "--local",
        "vm",
        "list",
        "-o",
        "csv",
        "--columns",
        "created",
        "--no-header",
    ];
    assert!(
        home.ok(&times)
            .lines()
            .all(|time| time.starts_with("20") && time.ends_with('Z'))
    );
}

#[test]
fn results_of_several_vms_print_in_the_order_they_are_named_in() {
    let home = Home::new();
    for (name, nap) in [("a", "NAP=1"), ("b", "NAP=0")] {
        home.ok(&["--local", "vm", "launch", "--name", name, "-e", nap]);
    }
    for options in [&["-o", "json"][..], &["-q", "."]] {
        let words = [
            &["--local", "exec"],
            options,
            &["a", "b", "--", "sh", "-c", "sleep $NAP"],
        ];
        let ran = home.run(&words.concat()).json();
        assert_eq!(
            (&ran[0]["vm"], &ran[1]["vm"]),
            (&"a".into(), &"b".into()),
            "{ran}"
        );
    }
    for verb in ["pause", "resume"] {
        assert_eq!(
            home.ok(&["--local", "vm", verb, "b", "a", "-o", "name"]),
            "b\na"
        );
        assert_eq!(
            home.ok(&["--local", "vm", verb, "--all", "-o", "name"]),
            "a\nb"
        );
    }
    let rm = home.run(&[
        "--local", "vm", "rm", "b", "nope", "a", "--yes", "-o", "json",
    ]);
    assert_eq!(rm.error()["failed"][0]["target"], "nope");
    let deleted: Vec<&str> = rm.stderr.lines().take(2).map(|line| &line[..9]).collect();
    assert_eq!(deleted, ["deleted b", "deleted a"], "{rm}");
}

#[test]
fn the_question_names_what_an_id_stands_for() {
    let home = Home::new();
    for (make, noun, thing) in [
        (&["vm", "launch", "-n", "dev"][..], "vm", "VM dev"),
        (
            &["snapshot", "create", "dev", "-n", "golden"],
            "snapshot",
            "snapshot golden",
        ),
        (
            &["volume", "create", "data", "--size-gib", "1"],
            "volume",
            "volume data",
        ),
    ] {
        home.ok(&[&["--local"], make].concat());
        let id = home.ok(&["--local", noun, "list", "-o", "id"]);
        let mut terminal = Terminal::run(&mut home.command(&["--local", noun, "delete", &id]));
        terminal.wait_for(&format!("delete {thing} ("));
    }
}
