//! `fastvm prune`: what is not in use goes, after it was shown; all else stays.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::terminal::Terminal;
use crate::common::{Home, Ran};

fn local(home: &Home, arguments: &[&str]) -> String {
    home.ok(&[&["--local"], arguments].concat())
}

/// The names of all VMs, snapshots and volumes.
fn things(home: &Home) -> String {
    let list = |noun| local(home, &[noun, "ls", "-o", "name", "--sort", "name"]);
    let lists = ["vm", "snapshot", "volume"].map(list);
    lists.join("|").replace('\n', " ")
}

/// Two VMs, one of a snapshot and with a volume; a snapshot of each, one of a VM that is gone, and volumes.
fn home() -> Home {
    let home = Home::new();
    let launch = |options: &[&str]| {
        local(&home, &[&["vm", "launch", "--quiet"], options].concat());
    };
    let save = |vm, name| local(&home, &["snapshot", "create", vm, "-n", name, "--quiet"]);
    for volume in ["used", "unused"] {
        local(
            &home,
            &["volume", "create", volume, "--size-gib", "1", "--quiet"],
        );
    }
    launch(&["-n", "gone"]);
    save("gone", "source");
    save("gone", "orphan");
    local(&home, &["vm", "rm", "gone", "--yes", "--quiet"]);
    launch(&["-n", "dev", "--volume", "used:/data"]);
    save("dev", "of-dev");
    local(&home, &["vm", "pause", "dev", "--quiet"]);
    local(
        &home,
        &["snapshot", "restore", "source", "-n", "copy", "--quiet"],
    );
    home
}

const ALL: &str = "copy dev|of-dev orphan source|unused used";

fn prune(home: &Home, options: &[&str]) -> Ran {
    home.run(&[&["--local", "prune"], options].concat())
}

/// The kinds and names in a JSON answer.
fn names(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let list = json.as_array().unwrap().iter();
    list.map(|thing| format!("{} {}", thing["kind"], thing["name"]).replace('"', ""))
        .collect()
}

#[test]
fn what_no_vm_uses_is_listed_by_a_dry_run_and_deleted_after_a_yes() {
    let home = home();
    let dry = prune(&home, &["--dry-run", "--json"]);
    assert_eq!(names(&dry), ["snapshot orphan", "volume unused"], "{dry}");
    assert_eq!(dry.json()[0]["deleted"], false);
    let table = prune(&home, &["--dry-run"]);
    assert!(table.stdout.starts_with("KIND"), "{table}");
    assert!(!table.stdout.contains("curl"), "{table}");
    assert_eq!(things(&home), ALL);

    let done = prune(&home, &["--yes", "--json"]);
    assert_eq!(names(&done), ["snapshot orphan", "volume unused"], "{done}");
    assert_eq!(done.json()[0]["deleted"], true);
    assert_eq!(things(&home), "copy dev|of-dev source|used");
    let nothing = prune(&home, &["--json"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "[]\n"));
}

#[test]
fn vms_go_by_their_age_alone_and_young_things_stay() {
    let home = home();
    let none = prune(&home, &["--older-than", "1h", "--yes", "--json"]);
    assert_eq!(none.stdout, "[]\n", "{none}");
    let kept = [
        "--older-than",
        "1ms",
        "--keep",
        "d*",
        "--keep",
        "o*",
        "--keep",
        "u*",
    ];
    let vms = prune(&home, &[&kept[..], &["--yes", "-o", "name"]].concat());
    assert_eq!(vms.stdout, "copy\n", "{vms}");
    assert_eq!(things(&home), "dev|of-dev orphan source|unused used");
}

#[test]
fn only_the_kinds_that_are_named_are_looked_for() {
    let home = home();
    let volumes = prune(&home, &["--only", "volumes", "--yes", "-o", "name"]);
    assert_eq!(volumes.stdout, "unused\n", "{volumes}");
    for wrong in [
        &["--only", "vms"][..],
        &["--only", "files"],
        &["--older-than", "x"],
    ] {
        assert_eq!(prune(&home, wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn nothing_is_deleted_that_nobody_could_see_or_agree_to() {
    let home = home();
    for options in [&[][..], &["--quiet"], &["--no-input"], &["--json"]] {
        let ran = prune(&home, options);
        assert_eq!(ran.code, 2, "{options:?}\n{ran}");
    }
    let mut terminal = Terminal::run(&mut home.command(&["--local", "prune"]));
    terminal.wait_for("delete 1 snapshot and 1 volume? [y/N]");
    for name in ["orphan", "unused"] {
        assert!(terminal.text().contains(name), "{}", terminal.text());
    }
    terminal.type_in("n\r");
    assert_eq!(terminal.end(), 10);
    assert_eq!(things(&home), ALL);
}

#[test]
fn what_comes_into_use_while_it_is_asked_about_is_kept() {
    let home = home();
    let mut terminal = Terminal::run(&mut home.command(&["--local", "prune"]));
    terminal.wait_for("[y/N]");
    local(
        &home,
        &["snapshot", "restore", "orphan", "-n", "new", "--quiet"],
    );
    local(
        &home,
        &["volume", "create", "later", "--size-gib", "1", "--quiet"],
    );
    terminal.type_in("y\r");
    assert_eq!(terminal.end(), 0);
    assert_eq!(
        things(&home),
        "copy dev new|of-dev orphan source|later used"
    );
}

fn write(path: &Path, age: Duration) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "x").unwrap();
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn leftovers_of_this_machine_need_no_api() {
    const HOUR: Duration = Duration::from_secs(3600);
    let home = Home::new();
    local(&home, &["vm", "ls"]);
    let old = home.join(".local/state/fastvm/transfers/old");
    let young = home.join(".local/state/fastvm/transfers/young");
    let busy = home.join(".local/state/fastvm/transfers/busy");
    for (path, age) in [(&old, HOUR * 25), (&young, HOUR), (&busy, HOUR * 25)] {
        write(path, age);
    }
    let lock = std::fs::File::open(&busy).unwrap();
    lock.lock().unwrap();
    let broken = home.join("local/state.db.broken-1");
    let lost = home.join("local/lost/vms/some");
    write(&broken, HOUR);
    write(&lost.join("file"), HOUR);

    // The cloud, without a key.
    let dry = home.run(&["prune", "--only", "leftovers", "--dry-run", "-o", "id"]);
    let expected = [&old, &broken, &lost].map(|path| format!("{}\n", path.display()));
    assert_eq!(dry.stdout, expected.concat(), "{dry}");
    home.ok(&["prune", "--only", "leftovers", "--yes"]);
    let stays = [&old, &broken, &lost, &young, &busy].map(|path| path.exists());
    assert_eq!(stays, [false, false, false, true, true]);
}
