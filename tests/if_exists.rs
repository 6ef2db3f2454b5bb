//! `vm launch --if-exists`: one VM of a name, whoever launches it how often.

use std::process::{Child, Stdio};

use crate::common::scripted::json;
use crate::common::{Front, Home, Ran, Say, Served};

const LAUNCH: [&str; 5] = ["--local", "vm", "launch", "-o", "id"];

fn launch(home: &Home, policy: &str) -> Ran {
    home.run(&[&LAUNCH[..], &["-n", "one", "--if-exists", policy]].concat())
}

/// The ids of all VMs.
fn ids(home: &Home) -> String {
    home.ok(&["--local", "vm", "ls", "-o", "id"])
}

#[test]
fn a_vm_of_the_name_is_taken_or_replaced_or_an_error() {
    let home = Home::new();
    let first = launch(&home, "error");
    assert_eq!(first.code, 0, "{first}");
    let again = launch(&home, "error");
    assert_eq!((again.code, again.stdout.as_str()), (5, ""), "{again}");
    assert!(again.stderr.contains("already exists"), "{again}");
    assert!(again.stderr.contains("--if-exists reuse"), "{again}");

    let reused = launch(&home, "reuse");
    assert_eq!((reused.code, &reused.stdout), (0, &first.stdout));
    let taken = [
        "--local",
        "vm",
        "launch",
        "-n",
        "one",
        "--if-exists",
        "reuse",
    ];
    let told = home.run(&taken);
    assert!(told.stdout.starts_with("reused one ("), "{told}");
    home.ok(&["--local", "vm", "pause", "one", "--quiet"]);
    let resumed = home.run(&[
        "--local",
        "vm",
        "launch",
        "-n",
        " one ",
        "--if-exists",
        "reuse",
        "--json",
    ]);
    assert_eq!(resumed.json()["status"], "running", "{resumed}");
    assert_eq!(ids(&home), first.stdout.trim());

    let replaced = launch(&home, "replace");
    assert_eq!(replaced.code, 0, "{replaced}");
    assert_ne!(replaced.stdout, first.stdout);
    assert_eq!(ids(&home), replaced.stdout.trim());
}

#[test]
fn several_of_the_name_are_not_replaced_and_the_oldest_is_reused() {
    let home = Home::new();
    let plain = [&LAUNCH[..], &["-n", "one"]].concat();
    let oldest = home.ok(&plain);
    home.ok(&plain);
    assert_eq!(launch(&home, "reuse").stdout.trim(), oldest);
    let refused = launch(&home, "replace");
    assert_eq!((refused.code, refused.stdout.as_str()), (3, ""));
    assert!(refused.stderr.contains("2 VMs are named"), "{refused}");
    assert_eq!(ids(&home).lines().count(), 2);
}

#[test]
fn each_of_several_names_is_looked_for() {
    let home = Home::new();
    let launch = |count: &str| {
        let ids = home.ok(&[
            &LAUNCH[..],
            &["-n", "w-{n}", "--count", count, "--if-exists", "reuse"],
        ]
        .concat());
        ids.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let two = launch("2");
    let three = launch("3");
    assert_eq!((two.len(), three.len()), (2, 3));
    assert_eq!(two[..], three[..2]);
}

#[test]
fn a_vm_that_differs_from_what_was_asked_for_is_reused_with_a_warning() {
    let home = Home::new();
    home.ok(&[
        "--local",
        "volume",
        "create",
        "data",
        "--size-gib",
        "1",
        "--quiet",
    ]);
    let volume = home.ok(&["--local", "volume", "list", "-o", "id"]);
    let launched = [
        "--rule",
        "tcp:22",
        "-e",
        "A=1",
        "--metadata",
        "env=ci",
        "--ttl",
        "2h:delete",
    ];
    home.ok(&[&LAUNCH[..], &["-n", "one", "-m", "c1m2"], &launched].concat());
    let reuse = |options: &[&str]| {
        let ran =
            home.run(&[&LAUNCH[..], &["-n", "one", "--if-exists", "reuse"], options].concat());
        assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{ran}");
        ran.stderr
    };
    for same in [
        &[][..],
        &launched,
        &["--type", "C1M2"],
        &["--disk-gib", "10"],
    ] {
        assert!(
            !reuse(same).contains("warning"),
            "{same:?}: {}",
            reuse(same)
        );
    }
    home.ok(&[
        "--local", "snapshot", "create", "one", "-n", "golden", "--wait", "--quiet",
    ]);
    let mount = format!("no volume {volume} on /data");
    for (options, difference) in [
        (["--type", "c2m4"], "type c1m2, not c2m4"),
        (["--snapshot", "golden"], "snapshot none, not golden"),
        (["--volume", "data:/data"], mount.as_str()),
        (["--disk-gib", "20"], "disk 10 GiB, not 20 GiB"),
        (["-e", "A=2"], "variable A"),
        (["--metadata", "env=prod"], "label env=ci, not prod"),
        (["--metadata", "new=x"], "no label new"),
        (["--rule", "tcp:80"], "firewall"),
        (["--ttl", "1h:delete"], "ttl 7200s:delete, not 3600s:delete"),
    ] {
        let said = reuse(&options);
        let told = format!(
            "is reused as it is, though it differs from what was asked for: {difference}\n"
        );
        assert!(said.contains(&told), "{options:?}: {said}");
        assert!(
            said.contains("hint: replace it with --if-exists replace\n"),
            "{said}"
        );
    }
}

#[test]
fn a_name_is_needed() {
    let home = Home::new();
    for arguments in [
        &["--if-exists", "reuse"][..],
        &["--if-exists", "reuse", "-n", " "],
    ] {
        let ran = home.run(&[&LAUNCH[..], arguments].concat());
        assert_eq!(ran.code, 2, "{ran}");
    }
    assert_eq!(ids(&home), "");
}

/// Starts the same launch at the same moment in each home.
fn at_once(homes: &[Home], policy: &str) -> Vec<Ran> {
    let start = |home: &Home| -> Child {
        home.command(&[&LAUNCH[..], &["-n", "one", "--if-exists", policy]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = homes.iter().map(start).collect();
    let ends = children.into_iter();
    ends.map(|child| Ran::of(&child.wait_with_output().unwrap()))
        .collect()
}

/// Homes with one engine, whose commands share a lock or do not.
fn homes(shares_lock: bool) -> (Home, Vec<Home>) {
    let home = Home::new();
    // The data folder is made before they all want it.
    assert_eq!(ids(&home), "");
    let others = (0..4).map(|number| {
        let other = Home::new().beside(&home);
        match shares_lock {
            true => other,
            false => {
                let state = home.join(&format!("state-{number}"));
                other.set("XDG_STATE_HOME", state.to_str().unwrap())
            }
        }
    });
    let others = others.collect();
    (home, others)
}

#[test]
fn launches_at_the_same_moment_end_with_one_vm_on_one_machine() {
    let (home, homes) = homes(true);
    for policy in ["reuse", "replace", "error"] {
        let ran = at_once(&homes, policy);
        let left = ids(&home);
        assert_eq!(left.lines().count(), 1, "{policy}: {ran:?}");
        match policy {
            "reuse" => assert!(ran.iter().all(|ran| ran.stdout.trim() == left), "{ran:?}"),
            "replace" => assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}"),
            _ => assert!(ran.iter().all(|ran| ran.code == 5), "{ran:?}"),
        }
    }
}

#[test]
fn launches_at_the_same_moment_end_with_one_vm_without_a_common_lock() {
    let (home, homes) = homes(false);
    for policy in ["reuse", "error"] {
        let ran = at_once(&homes, policy);
        let left = ids(&home);
        assert_eq!(left.lines().count(), 1, "{policy}: {ran:?}");
        if policy == "reuse" {
            assert!(ran.iter().all(|ran| ran.stdout.trim() == left), "{ran:?}");
        }
        home.ok(&["--local", "vm", "rm", "--all", "--yes", "--quiet"]);
    }
}

#[test]
fn a_vm_that_shows_only_after_the_launch_wins_over_it() {
    for (policy, code) in [("reuse", 0), ("replace", 5), ("error", 5)] {
        let served = Served::start();
        let dev = served.client().ok(&["vm", "ls", "-o", "id"]);
        let mut has_looked = false;
        let front = Front::new(served.url(), "uploadUrl", move |asked| {
            match asked.line == "GET /v1/vms" && !std::mem::replace(&mut has_looked, true) {
                true => Say::Answer(json("200 OK", "[]")),
                false => Say::Pass,
            }
        });
        let home = Home::with_server(front.url());
        let ran = home.run(&[
            "vm",
            "launch",
            "-n",
            "dev",
            "--if-exists",
            policy,
            "-o",
            "id",
        ]);
        assert_eq!(ran.code, code, "{policy}\n{ran}");
        assert_eq!(front.count("POST /v1/vms"), 1, "{policy}");
        assert_eq!(served.client().ok(&["vm", "ls", "-o", "id"]), dev, "{ran}");
        if code == 0 {
            assert_eq!(ran.stdout.trim(), dev, "{ran}");
        }
    }
}

#[test]
fn a_second_look_that_fails_leaves_no_vm() {
    let served = Served::start();
    let mut looks = 0;
    let front = Front::new(served.url(), "uploadUrl", move |asked| {
        looks += usize::from(asked.line == "GET /v1/vms");
        match asked.line == "GET /v1/vms" && looks > 1 {
            true => Say::Answer(json("400 Bad Request", r#"{"error":"no list today"}"#)),
            false => Say::Pass,
        }
    });
    let home = Home::with_server(front.url());
    let ran = home.run(&["vm", "launch", "-n", "one", "--if-exists", "reuse"]);
    assert_eq!(ran.code, 5, "{ran}");
    assert_eq!(served.client().ok(&["vm", "ls", "-o", "name"]), "dev");
}
