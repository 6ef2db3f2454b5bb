//! Completion as real shells do it: bash, zsh and fish in a terminal, against a VM of the local engine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::terminal::Terminal;
use crate::common::{FASTVM, Home, lacks};

/// How often Tab is pressed: a busy machine may not answer within the time that completion has.
const PRESSES: usize = 20;

struct Shell {
    program: &'static str,
    arguments: &'static [&'static str],
    /// What loads the completion.
    setup: &'static str,
}

const BASH: Shell = Shell {
    program: "bash",
    arguments: &["--norc", "--noprofile", "-i"],
    setup: "PS1='$ '; source <(fastvm completion bash)",
};

const ZSH: Shell = Shell {
    program: "zsh",
    arguments: &["-f", "-i"],
    setup: "PS1='$ '; autoload -Uz compinit; compinit -u -D; source <(fastvm completion zsh)",
};

const FISH: Shell = Shell {
    program: "fish",
    arguments: &["--no-config", "--private"],
    setup: "fastvm completion fish | source",
};

const ELVISH: Shell = Shell {
    program: "elvish",
    arguments: &["-norc", "-i"],
    setup: "eval (fastvm completion elvish | slurp)",
};

/// A home with two VMs, whose commands go to the local engine.
fn home() -> Home {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    for name in ["dev", "my vm"] {
        home.ok(&[
            "launch",
            "--no-console",
            "-n",
            name,
            "--metadata",
            "tier=front",
            "--quiet",
        ]);
    }
    home.ok(&["volume", "create", "data", "--size-gib", "1", "--quiet"]);
    home.ok(&["service", "add", "dev", "web", "8080", "--quiet"]);
    home.ok(&[
        "exec",
        "dev",
        "mkdir -p '/srv/in there' && touch '/srv/in there/guest-file'",
    ]);
    std::fs::write(home.join("host-file"), "").unwrap();
    home
}

fn shell(home: &Home, shell: &Shell) -> Terminal {
    let ours = home.command(&[]);
    // fish needs a terminal that is its own.
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", shell.program])
        .args(shell.arguments)
        .env_clear();
    for (name, value) in ours.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let folder = Path::new(FASTVM).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{folder}:{path}"))
        .current_dir(home.path());
    let mut terminal = Terminal::run(&mut command);
    terminal.type_in(&format!("{}; echo se''t up\r", shell.setup));
    terminal.wait_for("set up");
    terminal
}

/// Types, and presses Tab until the line shows what is expected; then the line is emptied.
fn completes(terminal: &mut Terminal, typed: &str, expected: &str) {
    terminal.type_in(typed);
    for _ in 0..PRESSES {
        terminal.type_in("\t");
        if terminal.shows_within(expected, Duration::from_secs(2)) {
            terminal.type_in("\x15\x15clear\r");
            terminal.wait_until_gone(expected);
            return;
        }
    }
    panic!(
        "{typed:?} is not completed to {expected:?} in\n{}",
        terminal.text()
    );
}

fn completes_all(kind: &Shell) {
    if lacks(kind.program) {
        return;
    }
    let home = home();
    let mut terminal = shell(&home, kind);
    let cases = [
        ("fastvm vm la", "vm launch"),
        ("fastvm vm ren", "vm rename"),
        ("fastvm vm get my", r"get my\ vm"),
        ("fastvm cp dev:/srv/i", r"dev:/srv/in\ there/"),
        (r"fastvm cp dev:/srv/in\ there/g", "there/guest-file"),
        ("fastvm vm list -l ti", "-l tier"),
        ("fastvm vm list --sort stat", "--sort status"),
        ("fastvm vm list --status pausi", "--status pausing"),
        ("fastvm vm launch --type c4", "--type c4m8"),
        ("fastvm context use def", "use default"),
        ("fastvm help exi", "help exit-codes"),
        ("fastvm service delete dev we", "dev web"),
        ("fastvm launch --volume dat", "--volume data:"),
    ];
    for (typed, expected) in cases {
        completes(&mut terminal, typed, expected);
    }
    // Nothing of this machine stands behind the name of a VM.
    terminal.type_in("fastvm cp dev:hos\t\t");
    assert!(!terminal.shows_within("host-file", Duration::from_secs(2)));
}

#[test]
fn bash_completes_names_options_and_paths_in_vms() {
    completes_all(&BASH);
}

#[test]
fn zsh_completes_names_options_and_paths_in_vms() {
    completes_all(&ZSH);
}

#[test]
fn fish_completes_names_options_and_paths_in_vms() {
    completes_all(&FISH);
}

#[test]
fn elvish_completes_commands_and_names() {
    if lacks("elvish") {
        return;
    }
    let home = home();
    let mut terminal = shell(&home, &ELVISH);
    for (typed, expected) in [
        ("fastvm vm la", "vm launch"),
        ("fastvm vm get de", "get dev"),
    ] {
        completes(&mut terminal, typed, expected);
    }
}

#[test]
fn bash_completes_in_quotes_and_behind_signs_that_it_cuts_words_at() {
    if lacks("bash") {
        return;
    }
    let home = home();
    let mut terminal = shell(&home, &BASH);
    completes(&mut terminal, "fastvm vm get \"my", "get \"my vm\"");
    completes(&mut terminal, "fastvm --context=def", "--context=default");
    completes(
        &mut terminal,
        "cd . && fastvm cp dev:/srv/i",
        r"dev:/srv/in\ there/",
    );
}

#[test]
fn names_are_those_of_now_after_a_change_of_ours() {
    let home = home();
    let names = || {
        let mut command = home.command(&["--", "fastvm", "vm", "get", ""]);
        command
            .env("FASTVM_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", "3");
        let output = command.output().unwrap();
        let mut names: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    let shows = |expected: &str| {
        let is_shown = (0..PRESSES).any(|_| names() == expected);
        assert!(is_shown, "{:?} instead of {expected:?}", names());
    };
    shows("dev my\\ vm");
    home.ok(&["vm", "rename", "dev", "web", "--quiet"]);
    shows("my\\ vm web");
    home.ok(&["rm", "web", "--yes", "--quiet"]);
    shows("my\\ vm");
    home.ok(&["launch", "--no-console", "-n", "new", "--quiet"]);
    shows("my\\ vm new");
}
