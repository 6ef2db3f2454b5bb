//! The sessions of `docs/tour.md`, `docs/work.md` and `docs/messages.md`, typed again: what a page shows is what a reader gets.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{FASTVM, Home, lacks};

const OPENING: &str = "```console";

#[test]
fn the_sessions_of_the_tour_run_as_they_are_shown() {
    if !lacks("jq") {
        is_as_shown("tour.md");
    }
}

#[test]
fn the_sessions_of_work_run_as_they_are_shown() {
    if !["rsync", "git", "curl", "python3"].into_iter().any(lacks) {
        is_as_shown("work.md");
    }
}

/// The words for what goes wrong can be read in one place.
#[test]
fn the_messages_are_those_shown() {
    is_as_shown("messages.md");
}

fn is_as_shown(page: &str) {
    let page = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let home = Home::new();
    let shown = std::fs::read_to_string(&page).unwrap();
    let typed = typed_again(&home, &shown);
    if std::env::var_os("FASTVM_BLESS").is_some() {
        std::fs::write(&page, &typed).unwrap();
        return;
    }
    for (shown, typed) in shown.lines().zip(typed.lines()) {
        assert_eq!(
            without_chance(shown),
            without_chance(typed),
            "{shown}\n{typed}\ntype the page again with FASTVM_BLESS=1, and read the difference"
        );
    }
    assert_eq!(shown.lines().count(), typed.lines().count());
}

/// The page with what its commands print now.
fn typed_again(home: &Home, page: &str) -> String {
    let mut typed = String::new();
    let mut in_session = false;
    for line in page.lines() {
        let is_fence = line.starts_with("```");
        if is_fence {
            in_session = line == OPENING;
        }
        if !in_session || is_fence {
            typed += line;
            typed.push('\n');
        } else if let Some(command) = line.strip_prefix("$ ") {
            typed += line;
            typed.push('\n');
            typed += &output(home, command);
        }
    }
    typed
}

/// What a reader sees who types it.
fn output(home: &Home, command: &str) -> String {
    let program = Path::new(FASTVM).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .env_clear()
        .env("PATH", format!("{}:{path}", program.display()))
        .env("HOME", home.path())
        .env("FASTVM_LOCAL_DIR", home.join("local"))
        .env("FASTVM_CONTEXT", "local")
        .env("EMAIL", "you@example.org")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Without what differs each time: words with digits in them, ages, and the widths of columns.
fn without_chance(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let by_chance = word == "now" || word.contains(|c: char| c.is_ascii_digit());
        if by_chance { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}
