//! What a terminal, or what stands in its place, gets to see.

use std::fs;
use std::process::Stdio;

use super::make_tree;
use crate::common::scripted::json;
use crate::common::{Home, Ran, Scripted, Served};

const EVIL: &[&str] = &[
    "\u{1b}[31mred",
    "\u{1b}]8;;http://evil\u{7}link",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{9b}2J",
    "a\rb",
    "\u{202e}txt.exe",
    "bell\u{7}",
    "\u{8}\u{8}back",
    "\u{7f}",
];

fn assert_harmless(text: &str) {
    for character in text.chars() {
        let acts = (character.is_control() && !['\n', '\t'].contains(&character))
            || ('\u{202a}'..='\u{202e}').contains(&character);
        assert!(!acts, "{character:?} in {text:?}");
    }
}

/// T45.
#[test]
fn text_of_a_server_acts_on_no_terminal() {
    for evil in EVIL {
        let body = serde_json::json!({ "error": evil }).to_string();
        let server = Scripted::new(&[&json("400 Bad Request", &body)]);
        let ran = Home::with_server(server.url()).run(&["vm", "list"]);
        assert_eq!(ran.code, 5, "{ran}");
        assert_harmless(&ran.stderr);
        let name = serde_json::json!(evil).to_string();
        let vm = format!(
            r#"[{{"id":"3f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7","name":{name},"orgId":"o","cpu":1,"memoryMiB":2048,"diskGiB":10,"status":"running","createdAt":"2026-01-02T03:04:05Z"}}]"#
        );
        let server = Scripted::new(&[&json("200 OK", &vm)]);
        let home = Home::with_server(server.url());
        let ran = home.run(&["vm", "list", "--no-header"]);
        assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
        assert_harmless(&ran.stdout);
        assert_eq!(home.run(&["vm", "list", "--json"]).json()[0]["name"], *evil);
    }
    let long = serde_json::json!({ "error": "x".repeat(1_000_000) }).to_string();
    let server = Scripted::new(&[&json("400 Bad Request", &long)]);
    let ran = Home::with_server(server.url()).run(&["vm", "list"]);
    assert!(
        ran.code == 5 && ran.stderr.len() < 100_000,
        "{}",
        ran.stderr.len()
    );
}

/// T45.
#[test]
fn names_and_errors_of_a_vm_act_on_no_terminal() {
    let served = Served::start();
    let home = served.client();
    make_tree(&home.join("src"), 3, "new");
    served.sh("printf '#!/bin/sh\\ncase $* in *version*) PATH=/usr/bin:/bin exec tar \"$@\";; esac\\nprintf \"\\\\033[2J\\\\033]52;c;eA==\\\\007\\\\302\\\\233evil\\\\r\" >&2\\nexit 2\\n' > /srv/tools/tar; chmod 755 /srv/tools/tar; mkdir /root/x; touch /root/x/y");
    for arguments in [
        ["cp", "src", "dev:/root/dst"],
        ["cp", "dev:/root/x", "x"],
        ["cp", "dev:/root/no\u{1b}[31m\u{9b}", "x"],
        ["cp", "./no\u{1b}[31m\u{9b}", "dev:/x"],
    ] {
        let ran = home.run(&arguments);
        assert_ne!(ran.code, 0, "{ran}");
        assert_harmless(&ran.stderr);
    }
}

/// T46.
#[test]
fn outputs_that_cannot_be_written_end_a_command_without_a_panic() {
    let served = Served::start();
    let home = served.client();
    served.sh("head -c 3000000 /dev/zero > /root/big");
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in [
        &["vm", "list"][..],
        &["vm", "list", "--json"],
        &["cp", "dev:/root/big", "-"],
        &["cp", "dev:/etc/hostname", "-"],
        &["exec", "dev", "cat /root/big"],
    ] {
        let output = home.command(arguments).stdout(full()).output().unwrap();
        let ran = Ran::of(&output);
        assert_ne!(ran.code, 0, "{arguments:?}\n{ran}");
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        let output = home.command(arguments).stdout(closed()).output().unwrap();
        let ran = Ran::of(&output);
        assert!(
            !ran.stderr.contains("panicked") && !ran.stderr.contains("error"),
            "{arguments:?}\n{ran}"
        );
        // Nobody hears the talk either.
        for stderr in [Stdio::from(full()), Stdio::from(closed())] {
            let status = home
                .command(arguments)
                .stdout(Stdio::null())
                .stderr(stderr)
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(0), "{arguments:?}");
        }
    }
    for (name, value) in [("COLUMNS", "1"), ("NO_COLOR", "1"), ("TERM", "dumb")] {
        let home = served.client().set(name, value);
        let ran = home.run(&["vm", "list"]);
        assert!(ran.code == 0 && !ran.stdout.contains('\u{1b}'), "{ran}");
    }
}
