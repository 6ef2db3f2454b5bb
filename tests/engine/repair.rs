//! Ways out of a broken state: `local repair` brings back what can be, `local reset` always works.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fastvm_sandbox::Stray;
use serde_json::Value;

use crate::common::Home;

/// What is done to a database file.
type Fate = fn(&Path);

/// What is done to a data folder.
type Damage = Box<dyn Fn(&Home)>;

/// What may happen to a database. Its log is gone too: it alone would make most of these good again.
const FATES: [(&str, Fate); 6] = [
    ("random bytes", |database| {
        fs::write(database, noise(16384)).unwrap();
    }),
    ("cut off", |database| {
        let bytes = fs::read(database).unwrap();
        fs::write(database, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("a page of noise", |database| {
        let mut bytes = fs::read(database).unwrap();
        let noise = noise(4096);
        for page in bytes.chunks_mut(4096).skip(1) {
            page.copy_from_slice(&noise[..page.len()]);
        }
        fs::write(database, bytes).unwrap();
    }),
    ("a folder", |database| {
        fs::remove_file(database).unwrap();
        fs::create_dir(database).unwrap();
    }),
    ("empty", |database| fs::write(database, "").unwrap()),
    ("missing", |database| fs::remove_file(database).unwrap()),
];

/// Bytes that are no database, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 12345_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn data(home: &Home) -> PathBuf {
    home.join("local")
}

/// Writes the log back, so that the database file holds all, and does something to it.
fn strike(home: &Home, fate: Fate) {
    let database = data(home).join("state.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(database.with_extension(format!("db{ending}")));
    }
    fate(&database);
}

/// The processes that are called as the inits of a data folder are.
fn inits(data: &Path) -> Vec<i32> {
    let found = fastvm_sandbox::find_inits(data).unwrap();
    found.iter().map(Stray::pid).collect()
}

/// Removes a tree in which the kernel has left folders that an ordinary user may not look into.
fn remove_tree(path: &Path) {
    let opened = Command::new("chmod")
        .args(["-R", "u+rwX"])
        .arg(path)
        .status();
    assert!(opened.unwrap().success());
    fs::remove_dir_all(path).unwrap();
}

/// The control groups of the machines of a data folder.
fn groups(data: &Path) -> Vec<PathBuf> {
    let mark = fastvm_sandbox::mark_of(data);
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(&mark) {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}

fn count(folder: PathBuf) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

fn json(home: &Home, arguments: &[&str]) -> Value {
    serde_json::from_str(&home.ok(arguments)).unwrap()
}

/// An engine or the keeper may have the database open when something writes over it.
#[test]
fn a_state_that_is_written_over_while_it_is_open_holds_nobody_up() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    let database = data(&home).join("state.db");
    let open = rusqlite::Connection::open(&database).unwrap();
    let count = "SELECT COUNT(*) FROM vms";
    open.query_row(count, [], |row| row.get::<_, i64>(0))
        .unwrap();
    fs::write(&database, "x").unwrap();
    let mut command = home.command(&["--local", "ls"]);
    let mut command = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while command.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > end {
            command.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = command.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    // Whoever has it open may have written pages behind the byte meanwhile.
    assert!(told.contains("state.db is damaged: "), "{told}");
    // whoever closes it last may write its log back, and then the file is sound before the repair
    drop(open);
    home.ok(&["local", "repair"]);
    assert_eq!(home.ok(&["--local", "ls", "-o", "name"]).trim(), "dev");
}

#[test]
fn a_state_that_is_damaged_is_told_by_every_command_and_repaired() {
    for (fate, strike_with) in FATES {
        let home = Home::new();
        home.ok(&["--local", "volume", "create", "vol", "--size-gib", "1"]);
        home.ok(&[
            "--local",
            "launch",
            "-n",
            "dev",
            "--volume",
            "vol:/data",
            "--quiet",
        ]);
        home.ok(&[
            "--local",
            "exec",
            "dev",
            "echo one > /root/a; echo two > /data/b",
        ]);
        home.ok(&["--local", "snapshot", "create", "dev", "--name", "golden"]);
        home.ok(&[
            "--local",
            "exec",
            "dev",
            "sleep 300 >/dev/null 2>&1 & echo $! > /root/pid",
        ]);
        home.ok(&["--local", "launch", "-n", "asleep", "--quiet"]);
        home.ok(&["--local", "vm", "pause", "asleep"]);
        let before = inits(&data(&home));
        let org = json(&home, &["--local", "ls", "--json"])[0]["orgId"].clone();
        let key = fs::read_to_string(data(&home).join("key")).unwrap();
        let layers = count(data(&home).join("layers"));

        strike(&home, strike_with);
        let database = data(&home).join("state.db").display().to_string();
        for arguments in [
            &["--local", "ls"][..],
            &["--local", "exec", "dev", "true"],
            &["--local", "launch", "-n", "other"],
            &["local", "status"],
            &["local", "serve"],
        ] {
            let refused = home.run(arguments);
            assert_ne!(refused.code, 0, "{fate}: {refused}");
            for part in [&database, "fastvm local repair", "fastvm local reset"] {
                assert!(refused.stderr.contains(part), "{fate}: {part}: {refused}");
            }
            assert_eq!(refused.stderr.lines().count(), 2, "{fate}: {refused}");
        }
        assert_eq!(count(data(&home).join("layers")), layers, "{fate}");

        let repaired = json(&home, &["local", "repair", "--json"]);
        assert_eq!(
            repaired["lost"],
            serde_json::json!([]),
            "{fate}: {repaired}"
        );
        assert_eq!(
            repaired["broughtBack"].as_array().unwrap().len(),
            4,
            "{fate}: {repaired}"
        );
        assert_eq!(inits(&data(&home)), before, "{fate}");
        let vms = json(&home, &["--local", "ls", "--json"]);
        let brief = |vm: &Value| format!("{} {} {}", vm["name"], vm["status"], vm["orgId"] == org);
        let vms: Vec<_> = vms.as_array().unwrap().iter().map(brief).collect();
        assert_eq!(
            vms,
            [r#""dev" "running" true"#, r#""asleep" "paused" true"#],
            "{fate}"
        );
        assert_eq!(fs::read_to_string(data(&home).join("key")).unwrap(), key);
        let look = "cat /root/a /data/b; kill -0 $(cat /root/pid) && echo alive";
        assert_eq!(
            home.ok(&["--local", "exec", "dev", look]),
            "one\ntwo\nalive",
            "{fate}"
        );
        home.ok(&["--local", "vm", "resume", "asleep", "--quiet"]);
        home.ok(&[
            "--local", "snapshot", "restore", "golden", "--name", "copy", "--quiet",
        ]);
        assert_eq!(
            home.ok(&["--local", "exec", "copy", "cat /root/a"]),
            "one",
            "{fate}"
        );
        let again = home.run(&["local", "repair"]);
        assert!(again.stderr.contains("is sound"), "{fate}: {again}");
        home.ok(&["local", "reset", "--yes"]);
        assert!(!data(&home).exists(), "{fate}");
    }
}

#[test]
fn a_reset_works_in_every_broken_state_and_ends_what_runs() {
    let gone = |name: &'static str| move |data: &Path| remove_tree(&data.join(name));
    let mut fates: Vec<(String, Damage)> = FATES
        .iter()
        .map(|(name, fate)| {
            let work: Damage = Box::new(|home| strike(home, *fate));
            (format!("database: {name}"), work)
        })
        .collect();
    for name in ["vms", "layers", "records", "images"] {
        let remove = gone(name);
        fates.push((
            format!("{name} gone"),
            Box::new(move |home| remove(&data(home))),
        ));
    }
    for name in [
        "key",
        "engine.lock",
        "keeper.lock",
        "reserve",
        "vms",
        "state.db-wal",
    ] {
        fates.push((
            format!("{name} replaced by something else"),
            Box::new(move |home| {
                let path = data(home).join(name);
                if path.is_dir() {
                    remove_tree(&path);
                    fs::write(path, "").unwrap();
                } else {
                    fs::remove_file(&path).unwrap();
                    fs::create_dir(path).unwrap();
                }
            }),
        ));
    }
    fates.push((
        "key empty".to_owned(),
        Box::new(|home| fs::write(data(home).join("key"), "").unwrap()),
    ));
    for (fate, work) in fates {
        let home = Home::new();
        home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
        home.ok(&["--local", "launch", "-n", "asleep", "--quiet"]);
        home.ok(&["--local", "vm", "pause", "asleep"]);
        assert_eq!(inits(&data(&home)).len(), 2, "{fate}");
        work(&home);
        home.ok(&["local", "reset", "--yes"]);
        assert!(inits(&data(&home)).is_empty(), "{fate}");
        assert_eq!(groups(&data(&home)), Vec::<PathBuf>::new(), "{fate}");
        let left: Vec<_> = fs::read_dir(data(&home))
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(!data(&home).exists(), "{fate}: {left:?}");
    }
}

#[test]
fn a_reset_ends_the_vms_of_a_folder_that_was_removed_and_says_so() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    home.ok(&["--local", "launch", "-n", "asleep", "--quiet"]);
    home.ok(&["--local", "vm", "pause", "asleep"]);
    remove_tree(&data(&home));
    let refused = home.run(&["--local", "ls"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(
        refused.stderr.contains("2 VMs of it still run"),
        "{refused}"
    );
    remove_tree(&data(&home));
    let reset = home.run(&["local", "reset", "--yes"]);
    assert_eq!(reset.code, 0, "{reset}");
    assert!(
        reset.stderr.contains("ended 2 VMs of") && reset.stderr.contains("gone"),
        "{reset}"
    );
    assert!(inits(&data(&home)).is_empty());
    let again = home.run(&["local", "reset", "--yes"]);
    assert!(
        again.stderr.contains("there is nothing to delete"),
        "{again}"
    );
}

#[test]
fn a_reset_touches_no_folder_that_is_not_ours() {
    let home = Home::new();
    fs::create_dir_all(data(&home).join("images")).unwrap();
    fs::write(data(&home).join("images/mine"), "").unwrap();
    let reset = home.run(&["local", "reset", "--yes"]);
    assert!(
        reset.stderr.contains("there is nothing to delete"),
        "{reset}"
    );
    assert!(data(&home).join("images/mine").exists());
    fs::remove_dir_all(data(&home)).unwrap();
}

#[test]
fn a_vm_whose_files_were_removed_is_shown_and_can_be_deleted() {
    for (gone, usable) in [("vms", true), ("layers", false)] {
        let home = Home::new();
        home.ok(&["--local", "launch", "-n", "kept", "--quiet"]);
        home.ok(&["--local", "exec", "kept", "echo one > /root/a"]);
        home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
        remove_tree(&data(&home).join(gone));
        let names = home.ok(&["--local", "ls", "-o", "name"]);
        assert_eq!(names, "kept\ndev", "{gone}");
        home.ok(&["--local", "rm", "dev", "--yes"]);
        if usable {
            home.ok(&["--local", "vm", "resume", "kept", "--quiet"]);
            assert_eq!(home.ok(&["--local", "exec", "kept", "cat /root/a"]), "one");
        }
        home.ok(&["--local", "rm", "kept", "--yes"]);
        assert!(inits(&data(&home)).is_empty(), "{gone}");
        assert_eq!(home.ok(&["--local", "ls", "--json"]), "[]");
    }
}

#[test]
fn what_has_a_record_and_no_row_is_kept_and_brought_back() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    home.ok(&["--local", "exec", "dev", "echo one > /root/a"]);
    home.ok(&["--local", "snapshot", "create", "dev", "--name", "golden"]);
    home.ok(&["--local", "launch", "-n", "other", "--quiet"]);
    let database = rusqlite::Connection::open(data(&home).join("state.db")).unwrap();
    database
        .execute_batch(
            "DELETE FROM vms WHERE name = 'dev'; DELETE FROM snapshots; DELETE FROM stacks;",
        )
        .unwrap();
    // Each command sweeps, and this one makes a row with a number that was another's.
    home.ok(&["--local", "launch", "-n", "third", "--quiet"]);
    home.ok(&["--local", "rm", "other", "--yes"]);
    let status = home.run(&["local", "status"]);
    for thing in ["vm dev", "snapshot golden"] {
        let told = format!("{thing} was lost: bring it back with `fastvm local repair`");
        assert!(status.stderr.contains(&told), "{status}");
    }
    let repaired = home.ok(&["local", "repair"]);
    assert!(repaired.contains("brought back vm dev"), "{repaired}");
    assert!(
        repaired.contains("brought back snapshot golden"),
        "{repaired}"
    );
    assert_eq!(home.ok(&["--local", "exec", "dev", "cat /root/a"]), "one");
    home.ok(&[
        "--local", "snapshot", "restore", "golden", "--name", "copy", "--quiet",
    ]);
    assert_eq!(home.ok(&["--local", "exec", "copy", "cat /root/a"]), "one");
}

#[test]
fn a_database_without_rows_beside_records_is_refused() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    let database = rusqlite::Connection::open(data(&home).join("state.db")).unwrap();
    database
        .execute_batch("DELETE FROM vms; DELETE FROM stacks;")
        .unwrap();
    let refused = home.run(&["--local", "ls"]);
    assert!(refused.stderr.contains("fastvm local repair"), "{refused}");
    assert!(
        home.ok(&["local", "repair"])
            .contains("brought back vm dev")
    );
    home.ok(&["--local", "exec", "dev", "true"]);
}

#[test]
fn what_a_repair_cannot_bring_back_is_told_and_never_removed() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    home.ok(&["--local", "launch", "-n", "diskless", "--quiet"]);
    home.ok(&["--local", "volume", "create", "vol", "--size-gib", "1"]);
    let vms = json(&home, &["--local", "ls", "--json"]);
    let database = rusqlite::Connection::open(data(&home).join("state.db")).unwrap();
    let upper: String = database
        .query_row("SELECT upper FROM vms WHERE name = 'diskless'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(database);
    strike(&home, |database| fs::write(database, "nonsense").unwrap());
    remove_tree(&data(&home).join("layers").join(upper));
    fs::remove_file(data(&home).join("records/vm-1.json")).unwrap();
    fs::write(data(&home).join("records/volume-1.json"), "{").unwrap();
    let repaired = home.ok(&["local", "repair"]);
    let id = vms[0]["id"].as_str().unwrap();
    for part in [
        "not brought back: vm diskless",
        "its disk is gone; what ran in it was ended",
        &format!("not brought back: vm {id}: nothing is known of it"),
        "it still runs",
        "not brought back: volume",
    ] {
        assert!(repaired.contains(part), "{part}: {repaired}");
    }
    for kind in ["vms", "layers", "volumes"] {
        assert!(count(data(&home).join("lost").join(kind)) > 0, "{kind}");
    }
    home.ok(&["--local", "launch", "-n", "next", "--quiet"]);
    assert_eq!(inits(&data(&home)).len(), 2);
    home.ok(&["local", "reset", "--yes"]);
    assert!(inits(&data(&home)).is_empty());
    assert!(!data(&home).exists());
}

#[test]
fn a_deleted_thing_leaves_no_record() {
    let home = Home::new();
    home.ok(&["--local", "volume", "create", "vol", "--size-gib", "1"]);
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    home.ok(&["--local", "snapshot", "create", "dev", "--name", "golden"]);
    assert_eq!(count(data(&home).join("records")), 4);
    home.ok(&["--local", "rm", "dev", "--yes"]);
    home.ok(&["--local", "snapshot", "delete", "golden", "--yes"]);
    home.ok(&["--local", "volume", "delete", "vol", "--yes"]);
    // That of the settings.
    assert_eq!(count(data(&home).join("records")), 1);
}

#[test]
fn a_key_that_is_none_is_told_and_made_anew_by_a_repair() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    fs::write(data(&home).join("key"), "\n").unwrap();
    let refused = home.run(&["--local", "ls"]);
    assert!(
        refused.stderr.contains("/key is damaged: it is empty"),
        "{refused}"
    );
    assert!(refused.stderr.contains("fastvm local repair"), "{refused}");
    assert_eq!(home.ok(&["local", "repair"]), "made a new API key");
    assert_eq!(home.ok(&["--local", "ls", "-o", "name"]), "dev");
}

#[test]
fn the_lock_of_a_process_that_died_keeps_no_reset_and_a_live_one_is_named() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    let lock = fs::File::open(data(&home).join("engine.lock")).unwrap();
    // A shell takes the lock and dies; its child has inherited the descriptor.
    let mut child = Command::new("sh")
        .args(["-c", "flock -s 0; sleep 300 & echo $!"])
        .stdin(lock)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut sleeper = String::new();
    let output = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut sleeper).unwrap();
    child.wait().unwrap();
    home.ok(&["local", "reset", "--yes"]);
    assert!(!data(&home).exists());
    super::recovery::kill(sleeper.trim().parse().unwrap());

    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    let lock = fs::File::open(data(&home).join("engine.lock")).unwrap();
    lock.lock_shared().unwrap();
    let busy = home.run(&["local", "reset", "--yes"]);
    let name = format!("(process {})", std::process::id());
    assert!(busy.stderr.contains(&name), "{busy}");
    assert_ne!(busy.code, 0);
    drop(lock);
    home.ok(&["local", "reset", "--yes"]);
}
