//! Snapshots on the local engine.

use snapbox::{assert_data_eq, str};

use crate::common::Home;

#[test]
fn a_snapshot_keeps_the_disk_and_is_restored_into_another_vm() {
    let home = Home::new();
    home.ok(&[
        "--local",
        "launch",
        "-n",
        "dev",
        "--metadata",
        "env=ci",
        "-e",
        "A=b",
    ]);
    home.ok(&[
        "--local",
        "exec",
        "dev",
        "echo kept > /root/file; mkdir -p /opt/x; rm -f /etc/motd",
    ]);
    let made = home.run(&[
        "--local", "snapshot", "create", "dev", "--name", "golden", "--wait",
    ]);
    assert_data_eq!(
        made.to_string(),
        str![[r#"
created golden ([..]), which is ready; launch from it with `fastvm --local vm launch --snapshot golden`
--- exit 0
"#]]
    );
    assert_eq!(
        home.ok(&["--local", "exec", "dev", "cat /root/file"]),
        "kept"
    );
    home.ok(&["--local", "exec", "dev", "echo later > /root/file"]);
    home.ok(&["--local", "snapshot", "restore", "golden", "--name", "copy"]);
    assert_eq!(
        home.ok(&[
            "--local",
            "exec",
            "copy",
            "cat /root/file; echo $A; test ! -e /etc/motd && ls -d /opt/x"
        ]),
        "kept\nb\n/opt/x"
    );
    let copy = home.run(&["--local", "vm", "get", "copy", "--json"]).json();
    assert_eq!(
        (&copy["metadata"]["env"], &copy["sourceName"]),
        (&"ci".into(), &"golden".into())
    );
    assert_eq!(
        home.ok(&["--local", "snapshot", "list", "-o", "name"]),
        "golden"
    );
    home.ok(&["--local", "snapshot", "delete", "golden", "--yes"]);
    assert_eq!(home.ok(&["--local", "snapshot", "ls", "--json"]), "[]");
    // What stands on the snapshot's layers goes on.
    assert_eq!(
        home.ok(&["--local", "exec", "copy", "cat /root/file"]),
        "kept"
    );
}

#[test]
fn a_busy_vm_is_saved_while_its_programs_go_on() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "busy"]);
    home.ok(&[
        "--local",
        "exec",
        "busy",
        "(while :; do date +%N > /root/now; sleep 0.01; done) >/dev/null 2>&1 & echo started",
    ]);
    home.ok(&["--local", "snapshot", "create", "busy", "-n", "s"]);
    home.ok(&["--local", "launch", "--snapshot", "s", "-n", "copy"]);
    assert_eq!(
        home.ok(&[
            "--local",
            "exec",
            "copy",
            "test -s /root/now; cat /proc/[0-9]*/comm | grep -cx date; true"
        ]),
        "0"
    );
    home.ok(&[
        "--local",
        "exec",
        "busy",
        "a=$(cat /root/now); sleep 0.2; test \"$a\" != \"$(cat /root/now)\"",
    ]);
}

#[test]
fn a_snapshot_that_is_not_there_is_3() {
    let home = Home::new();
    for arguments in [
        &["--local", "snapshot", "restore", "nope"][..],
        &["--local", "launch", "--snapshot", "nope"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 3, "{ran}");
        assert!(ran.stderr.contains("there is no snapshot named"), "{ran}");
    }
    assert_eq!(
        home.run(&[
            "--local",
            "snapshot",
            "rm",
            "nope",
            "-y",
            "--ignore-not-found"
        ])
        .code,
        0
    );
}
