//! What is generated from the command line is what is checked in. `FASTVM_BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::common::scripted::json;
use crate::common::{Home, Scripted};

fn pinned(path: &str, now: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("FASTVM_BLESS").is_some() {
        std::fs::write(&file, now).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        checked_in == now,
        "{path} is old: run FASTVM_BLESS=1 cargo test --test suite generated"
    );
}

#[test]
fn completion_scripts_are_those_checked_in() {
    let home = Home::new();
    for (shell, file) in [
        ("bash", "fastvm.bash"),
        ("zsh", "_fastvm"),
        ("fish", "fastvm.fish"),
        ("powershell", "_fastvm.ps1"),
        ("elvish", "fastvm.elv"),
    ] {
        let script = home.run(&["completion", shell]);
        assert_eq!(script.code, 0, "{script}");
        pinned(&format!("completions/{file}"), &script.stdout);
    }
}

#[test]
fn the_reference_is_the_help_of_every_command() {
    let mut command = fastvm::cli::Cli::command();
    command.build();
    let mut text = "# Reference\n\nEvery command with its help. Made from the program by `tests/generated.rs`; do not edit.\n\n".to_owned();
    describe(&command, "fastvm", &mut text);
    pinned("docs/reference.md", &text);
}

fn describe(command: &Command, name: &str, text: &mut String) {
    let is_root = name == "fastvm";
    let mut shown = command.clone().term_width(100).mut_args(|arg| {
        if !is_root && arg.is_global_set() {
            arg.hide(true)
        } else {
            arg
        }
    });
    let help = shown.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let help = lines.join("\n");
    writeln!(text, "## {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        describe(below, &format!("{name} {}", below.get_name()), text);
    }
}

#[test]
fn names_are_completed_from_the_api_and_asked_for_once() {
    let vm = |name: &str| {
        format!(
            r#"{{"id":"i-{name}","name":"{name}","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"running","createdAt":"2026-01-02T03:04:05Z"}}"#
        )
    };
    let server = Scripted::new(&[&json("200 OK", &format!("[{},{}]", vm("dev"), vm("web")))]);
    let home = Home::with_server(server.url());
    let ask = |words: &[&str]| {
        let mut command = home.command(&[&["--", "fastvm"], words].concat());
        let index = words.len().to_string();
        let output = command
            .env("FASTVM_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", index)
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_SPACE", "true")
            .env("_CLAP_IFS", "\n")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let names = |words: &[&str]| -> Vec<String> { ask(words).lines().map(str::to_owned).collect() };
    assert_eq!(names(&["vm", "get", "d"]), ["dev"]);
    assert_eq!(names(&["exec", "w"]), ["web"]);
    assert_eq!(names(&["vm", "pause", "d"]), ["dev"]);
    assert_eq!(names(&["cp", "we"]), ["web:"]);
    assert_eq!(names(&["vm", "la"]), ["launch"]);
    // Options come after a dash, and do not bury names.
    assert_eq!(names(&["vm", "get", ""]), ["dev", "web"]);
    assert_eq!(names(&["vm", "get", "--no-h"]), ["--no-header"]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn completion_is_silent_where_there_are_no_names() {
    for home in [Home::new(), Home::with_server("http://127.0.0.1:1")] {
        let output = home
            .command(&["--", "fastvm", "vm", "get", "x"])
            .env("FASTVM_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", "3")
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let home = Home::new();
    let page = home.ok(&["man", "vm", "launch"]);
    assert!(page.contains(".TH FASTVM\\-VM\\-LAUNCH 1"), "{page}");
    home.ok(&["man", "--dir", "pages", "--quiet"]);
    for name in ["fastvm", "fastvm-vm", "fastvm-volume-create", "fastvm-api"] {
        assert!(
            home.join("pages").join(format!("{name}.1")).exists(),
            "{name}"
        );
    }
}

/// One text teaches the program: as a skill, to those who read `docs/llms.txt`, and in `AGENTS.md`.
#[test]
fn the_texts_for_agents_are_the_skill() {
    let skill = Home::new().ok(&["skills", "show"]);
    let (front_matter, rest) = skill.split_once("---\n\n").unwrap();
    assert!(
        front_matter.starts_with("---\nname: fastvm\n"),
        "{front_matter}"
    );
    let (text, stamp) = rest.rsplit_once("\n\n<!-- ").unwrap();
    let version = format!("fastvm {} ", env!("CARGO_PKG_VERSION"));
    assert!(stamp.starts_with(&version), "{stamp}");
    pinned("docs/llms.txt", &format!("{text}\n"));
    let more = "To change fastvm itself, read docs/CONTRIBUTING.md.";
    pinned("AGENTS.md", &format!("{text}\n\n{more}\n"));
}

#[test]
fn every_help_shows_an_example() {
    let reference = include_str!("../docs/reference.md");
    let commands = reference.split("\n## ").skip(1);
    let without: Vec<_> = commands
        .filter(|command| !command.contains("\nExample"))
        .filter_map(|command| command.lines().next())
        .collect();
    assert_eq!(without, [""; 0]);
}
