//! Bad input and a bad place: one line that says what and why, the right exit code, nothing sent.

use snapbox::{assert_data_eq, str};

use crate::common::{Home, Ran};

/// A home whose server cannot be reached: what is refused here never gets that far.
fn nowhere() -> Home {
    Home::with_server("http://127.0.0.1:1")
}

#[test]
fn no_key_is_4_and_offers_this_machine() {
    assert_data_eq!(
        Home::new().run(&["vm", "list"]).to_string(),
        str![[r#"
--- stderr
error: no API key for the context default
hint: run `fastvm login`, set FASTVM_API_KEY, or use this machine with --local
--- exit 4
"#]]
    );
}

#[test]
fn an_unreachable_host_is_named_with_where_its_url_came_from() {
    assert_data_eq!(
        nowhere().run(&["vm", "list", "--retries", "0"]).to_string(),
        str![[r#"
--- stderr
error: cannot connect to http://127.0.0.1:1 (from FASTVM_BASE_URL): connection refused
--- exit 7
"#]]
    );
}

#[test]
fn a_host_without_an_address_is_7() {
    let home = Home::with_server("https://no-such-host.invalid");
    let ran = home.run(&["vm", "list", "--retries", "0"]);
    assert_eq!(ran.code, 7, "{ran}");
    assert!(ran.stderr.contains("https://no-such-host.invalid"), "{ran}");
}

#[test]
fn empty_commands_names_and_types_are_refused_before_anything_is_sent() {
    for arguments in [
        &["exec", "dev", ""][..],
        &["exec", "dev"],
        &["exec", "dev", "--", ""],
        &["run"],
        &["run", " "],
        &["vm", "get", ""],
        &["vm", "launch", "--type", ""],
        &["vm", "rename", "dev", " "],
        &["vm", "launch", "-e", "1A=x"],
        &["vm", "launch", "--metadata", "novalue"],
        &["vm", "launch", "--poll-interval", "1ms"],
        &["exec", "--timeout", "500ms", "dev", "true"],
        &["vm", "list", "--columns", "nope", "-q", ".["],
        &["cp", "a", "b"],
        &["vm", "launch", "--type", "c1m2", "--snapshot", "s"],
    ] {
        let ran = nowhere().run(arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{arguments:?}\n{ran}"
        );
        assert!(ran.stderr.starts_with("error: "), "{arguments:?}\n{ran}");
    }
}

#[test]
fn wrong_usage_is_json_too_when_json_was_asked_for() {
    let ran = nowhere().run(&["vm", "list", "--json", "--nope"]);
    assert_eq!(ran.error()["code"], "usage", "{ran}");
    assert_eq!(ran.code, 2);
}

#[test]
fn wrong_usage_is_whole_with_a_hint_in_every_way_json_is_asked_for() {
    let home = nowhere().set("XDG_CONFIG_HOME", "settings");
    let folder = home.join(".config/fastvm");
    std::fs::create_dir_all(&folder).unwrap();
    let contexts = "[contexts.scripts]\nbase_url = \"http://127.0.0.1:1\"\noutput = \"jsonl\"\n";
    std::fs::write(folder.join("contexts.toml"), contexts).unwrap();
    let env = |value| nowhere().beside(&home).set("FASTVM_OUTPUT", value);
    let bare = || nowhere().beside(&home);
    let rename = ["vm", "rename"];
    for (home, options) in [
        (bare(), &["-o", "json"][..]),
        (bare(), &["-ojson"]),
        (bare(), &["--output=json"]),
        (bare(), &["--output", "jsonl"]),
        (bare(), &["--json"]),
        (bare(), &["-q", ".id"]),
        (bare(), &["--jq=.id"]),
        (env("json"), &[]),
        (env("JSON"), &[]),
        (bare(), &["--context", "scripts"]),
        (bare().set("FASTVM_CONTEXT", "scripts"), &[]),
    ] {
        let ran = home.run(&[&rename, options].concat());
        let error = ran.error();
        assert_eq!(
            (ran.code, error["code"].as_str()),
            (2, Some("usage")),
            "{ran}"
        );
        assert_eq!(
            error["message"],
            "the following required arguments were not provided: <VM>, <NAME>"
        );
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .starts_with("usage: fastvm vm rename"),
            "{ran}"
        );
    }
    for (home, options) in [
        (bare(), &[][..]),
        (env("table"), &[]),
        (env("json"), &["-o", "csv"]),
    ] {
        let ran = home.run(&[&rename, options].concat());
        assert!(!ran.stderr.contains('{'), "{ran}");
    }
}

#[test]
fn a_misspelt_command_gets_a_suggestion() {
    let ran = nowhere().run(&["vm", "lanch"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("launch"), "{ran}");
}

#[test]
fn a_missing_source_of_a_copy_is_3() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--quiet"]);
    let ran = home.run(&["--local", "cp", "./nothing", "dev:/x"]);
    assert_eq!(ran.code, 3, "{ran}");
    let ran = home.run(&["--local", "cp", "dev:/nothing", "./x"]);
    assert_eq!(ran.code, 3, "{ran}");
    assert!(!home.join("x").exists());
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_a_closed_pipe_is_not() {
    let home = Home::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = home
        .command(&["help", "exit-codes"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = home
        .command(&["help", "exit-codes"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn every_exit_code_is_explained() {
    let text = Home::new().ok(&["help", "exit-codes"]);
    for code in [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 124, 125, 126, 127, 130, 143,
    ] {
        assert!(
            text.lines()
                .any(|line| line.trim_start().starts_with(&format!("{code} "))),
            "{code}"
        );
    }
}

#[test]
fn every_command_has_a_help_with_an_example() {
    let home = Home::new();
    for command in [
        "vm launch",
        "vm list",
        "vm get",
        "vm rename",
        "vm delete",
        "vm update",
        "vm wait",
        "vm pause",
        "vm resume",
        "vm refresh-ttl",
        "vm firewall get",
        "firewall get",
        "firewall set",
        "firewall patch",
        "firewall allow",
        "firewall deny",
        "service list",
        "service add",
        "service update",
        "service delete",
        "volume create",
        "volume list",
        "volume get",
        "volume update",
        "volume delete",
        "volume attachments",
        "volume diagnostics",
        "credential create",
        "credential list",
        "credential delete",
        "build create",
        "build get",
        "vm exec",
        "vm cp",
        "snapshot create",
        "snapshot list",
        "snapshot get",
        "snapshot rename",
        "snapshot restore",
        "snapshot delete",
        "exec",
        "run",
        "cp",
        "launch",
        "ls",
        "rm",
        "api",
        "completion",
        "man",
        "quota",
        "health",
        "context list",
        "context show",
        "context use",
        "context create",
        "context delete",
        "config get",
        "config set",
        "config path",
        "login",
        "logout",
        "local serve",
        "local env",
        "local status",
        "local forward",
        "local reset",
        "help",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let help = home.ok(&[&words[..], &["--help"]].concat());
        let about = help.lines().next().unwrap();
        let above = home.ok(&[&words[..words.len() - 1], &["-h"]].concat());
        assert!(help.contains("Example"), "{command}");
        assert!(
            above.lines().any(|line| line.contains(about)),
            "{command} says {about:?} of itself"
        );
    }
}

#[test]
#[cfg(unix)]
fn a_secret_that_is_not_utf8_is_not_shown() {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = |text: &[u8]| std::ffi::OsStr::from_bytes(text).to_owned();
    for words in [
        &[b"--api-key".as_slice(), b"fv_secret\xff"][..],
        &[b"--api-key=fv_secret\xff"],
        &[b"--json", b"--api-key=fv_secret\xff"],
        &[b"run", b"-ieA=fv_secret\xff", b"true"],
        &[b"run", b"--env", b"A=fv_secret\xff", b"true"],
        &[b"api", b"-HAuthorization: fv_secret\xff", b"x"],
    ] {
        let home = Home::new();
        let mut command = home.command(&[]);
        command.args(words.iter().map(|word| bytes(word)));
        let ran = Ran::of(&command.arg("ls").output().unwrap());
        assert_eq!(ran.code, 2, "{ran}");
        assert!(
            ran.stderr.contains("[redacted]") && !ran.stderr.contains("fv_secret"),
            "{ran}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let home = Home::with_server("http://127.0.0.1:9");
    for (arguments, said) in [
        (
            &[
                "volume",
                "create",
                "q",
                "--size-gib",
                "1",
                "--credential",
                "c",
            ][..],
            "--credential",
        ),
        (
            &["api", "/v1/vms", "-H", "A: b\r\nC: d"],
            "control character",
        ),
        (&["run"], "fastvm run 'ls -la'"),
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}\n{ran}");
        assert!(ran.stderr.contains(said), "{arguments:?}\n{ran}");
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_in_the_place_of_the_settings_does_not_hang() {
    let home = Home::new();
    let folder = home.join(".config/fastvm");
    std::fs::create_dir_all(&folder).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(folder.join("config.toml"))
        .status();
    assert!(pipe.unwrap().success());
    let ran = home.run(&["vm", "list"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("it is not a file"),
        "{ran}"
    );
}

#[test]
fn what_was_made_is_named_where_it_cannot_be_printed() {
    let home = Home::new();
    let onto_a_full_disk = |words: &[&str]| {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = home.command(words).stdout(full).output().unwrap();
        let ran = Ran::of(&output);
        assert_eq!(ran.code, 1, "{words:?}\n{ran}");
        ran.stderr
    };
    let id_of = |noun: &str| home.ok(&["--local", noun, "list", "-o", "id"]);
    let said = onto_a_full_disk(&["--local", "vm", "launch", "-n", "dev", "-o", "id"]);
    let id = id_of("vm");
    assert!(said.contains(&format!("launched dev ({id})")), "{said}");
    let said = onto_a_full_disk(&["--local", "snapshot", "create", "dev", "-n", "golden"]);
    let snapshot = id_of("snapshot");
    assert!(
        said.contains(&format!("created golden ({snapshot})")),
        "{said}"
    );
    let said = onto_a_full_disk(&["--local", "vm", "fork", "dev", "-n", "copy", "--count", "2"]);
    for id in id_of("vm").lines().filter(|other| *other != id) {
        assert!(said.contains(id), "{said}");
    }
    // A filter that does not fit is the same.
    let bad = ["--local", "vm", "launch", "-n", "odd", "-q", ".id.x"];
    let ran = home.run(&bad);
    assert!(ran.stderr.contains("launched odd ("), "{ran}");
}
