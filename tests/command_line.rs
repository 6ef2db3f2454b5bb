//! What may be typed: bytes that are no text, options twice, late or mistyped, options without effect, and what helps say.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::common::terminal::Terminal;
use crate::common::{Home, Ran, Serving, lacks};

/// A word that is no text.
fn bytes() -> OsString {
    OsStr::from_bytes(b"x\xff").to_owned()
}

/// Every command that does something, with its path of names.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn below(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
        if !command.has_subcommands() {
            found.push((path.to_vec(), command.clone()));
        }
        for inner in command.get_subcommands() {
            below(
                inner,
                &[path, &[inner.get_name().to_owned()]].concat(),
                found,
            );
        }
    }
    let mut root = fastvm::cli::Cli::command();
    root.build();
    let mut found = Vec::new();
    below(&root, &[], &mut found);
    assert!(found.len() > 60, "{}", found.len());
    found
}

fn run(home: &Home, path: &[String], words: &[OsString]) -> Ran {
    let mut command = home.command(&[]);
    Ran::of(&command.args(path).args(words).output().unwrap())
}

fn long(arg: &Arg) -> Option<OsString> {
    arg.get_long().map(|long| format!("--{long}").into())
}

#[test]
fn commands_in_messages_repeat_the_option_that_chose_the_api() {
    let home = Home::new();
    let launched = home.run(&["--local", "vm", "launch", "-n", "dev"]);
    assert!(
        launched
            .stdout
            .contains("`fastvm --local exec dev COMMAND`"),
        "{launched}"
    );
    let ran = home.run(&["--context", "local", "-o", "json", "vm", "get", "nobody"]);
    let (text, json) = ran.stderr.split_once('{').unwrap();
    for said in [text, json] {
        assert!(said.contains("`fastvm --local vm list`"), "{ran}");
    }
    let mut command = home.command(&["vm", "get", "nobody"]);
    let ran = Ran::of(&command.env("FASTVM_CONTEXT", "local").output().unwrap());
    assert!(ran.stderr.contains("`fastvm vm list`"), "{ran}");
}

#[test]
fn an_argument_that_is_not_utf8_is_refused_in_one_line_by_every_command() {
    let home = Home::new();
    for (path, command) in commands() {
        // A context or a folder of that name is another story; serving would go on for ever.
        let takes_paths = [
            &["man"][..],
            &["build", "create"],
            &["local", "serve"],
            &["cp"],
            &["vm", "cp"],
            &["skills", "install"],
        ];
        let is_endless = path == ["local", "reset"];
        if is_endless || takes_paths.iter().any(|takes| path == *takes) {
            continue;
        }
        let ran = run(&home, &path, &[bytes()]);
        assert!(ran.code == 2, "{path:?}\n{ran}");
        assert!(!ran.stderr.contains("bug"), "{path:?}\n{ran}");
        let options = command.get_arguments().filter(|arg| {
            !arg.is_global_set() && arg.get_action().takes_values() && long(arg).is_some()
        });
        for option in options {
            let ran = run(&home, &path, &[long(option).unwrap(), bytes()]);
            assert!(
                ran.code != 0 && !ran.stderr.contains("bug") && !ran.stderr.is_empty(),
                "{path:?} {option}\n{ran}"
            );
        }
    }
    for words in [
        &["vm", "get"][..],
        &["api"],
        &["--json", "api"],
        &["vm", "launch", "--name"],
        &["ls", "--columns"],
        &[],
    ] {
        let ran = Ran::of(&home.command(words).arg(bytes()).output().unwrap());
        assert_eq!(ran.code, 2, "{words:?}\n{ran}");
        let line = "error: the argument `x\\xFF` is not UTF-8\n";
        assert!(ran.stderr.starts_with(line), "{words:?}\n{ran}");
    }
}

#[test]
fn a_variable_that_is_not_utf8_is_named() {
    let home = Home::new();
    for variable in fastvm::config::env::VARIABLES {
        let mut command = home.command(&["--json", "config", "path"]);
        let ran = Ran::of(&command.env(variable.name, bytes()).output().unwrap());
        assert!([0, 2].contains(&ran.code), "{}\n{ran}", variable.name);
        assert!(!ran.stderr.contains("bug"), "{}\n{ran}", variable.name);
        if ran.code == 2 {
            let line = format!("error: {} is not UTF-8\n", variable.name);
            assert!(ran.stderr.starts_with(&line), "{ran}");
        }
    }
}

#[test]
fn paths_of_any_bytes_go_there_and_back() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    let name =
        |text: &str| OsStr::from_bytes(&[text.as_bytes(), b"\xff\n'$x "].concat()).to_owned();
    let guest =
        |text: &str| OsStr::from_bytes(&[b"dev:/tmp/", name(text).as_bytes()].concat()).to_owned();
    let cp = |words: &[&OsStr]| {
        let ran = Ran::of(&home.command(&["cp"]).args(words).output().unwrap());
        assert_eq!(ran.code, 0, "{words:?}\n{ran}");
    };
    let big = vec![7; 3_000_000];
    std::fs::write(home.join("small"), "small").unwrap();
    std::fs::write(home.join("big"), &big).unwrap();
    let folder = home.path().join(name("folder"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(name("in it")), "deep").unwrap();
    cp(&[OsStr::new("small"), &guest("small")]);
    cp(&[OsStr::new("big"), &guest("big")]);
    cp(&[folder.as_os_str(), &guest("folder")]);
    cp(&[&guest("big"), &guest("copy")]);
    std::fs::create_dir(home.join("back")).unwrap();
    for text in ["small", "copy", "folder"] {
        cp(&[&guest(text), OsStr::new("back/")]);
    }
    cp(&[&guest("small"), OsStr::new("renamed")]);
    let back = home.join("back");
    assert_eq!(std::fs::read(back.join(name("small"))).unwrap(), b"small");
    assert_eq!(std::fs::read(back.join(name("copy"))).unwrap(), big);
    let inner = back.join(name("folder")).join(name("in it"));
    assert_eq!(std::fs::read(inner).unwrap(), b"deep");
    assert_eq!(std::fs::read(home.join("renamed")).unwrap(), b"small");
    let missing = Ran::of(
        &home
            .command(&["cp"])
            .arg(guest("none"))
            .arg(".")
            .output()
            .unwrap(),
    );
    assert_eq!(missing.code, 3, "{missing}");
    assert!(missing.stderr.contains("/tmp/none\\xFF"), "{missing}");
}

#[test]
fn the_last_of_an_option_given_twice_wins_in_every_command() {
    for (path, command) in commands() {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let (Some(option), false) = (long(arg), arg.get_id() == "help") else {
                continue;
            };
            let value = arg
                .get_possible_values()
                .first()
                .map_or_else(|| OsString::from("1"), |value| value.get_name().into());
            let once = match arg.get_action() {
                ArgAction::Set | ArgAction::Append => vec![option, value],
                _ => vec![option],
            };
            let words = path
                .iter()
                .map(OsString::from)
                .chain(once.clone())
                .chain(once);
            let line = std::iter::once("fastvm".into()).chain(words);
            if let Err(error) = fastvm::cli::Cli::command().try_get_matches_from(line) {
                let text = error.to_string();
                let is_twice =
                    error.kind() == ErrorKind::ArgumentConflict && text.contains("multiple times");
                assert!(!is_twice, "{path:?} {arg}\n{text}");
            }
        }
    }
    let home = Home::new();
    home.ok(&[
        "--local",
        "--local",
        "ls",
        "--local",
        "-o",
        "id",
        "-o",
        "csv",
        "--columns",
        "id",
        "--columns",
        "name",
    ]);
    let name = home.ok(&[
        "--local",
        "launch",
        "-n",
        "one",
        "-n",
        "two",
        "--no-console",
        "-o",
        "id",
        "-o",
        "name",
    ]);
    assert_eq!(name, "two");
}

#[test]
fn options_behind_a_shell_line_are_ours_and_those_of_a_program_its_own() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    let code = |words: &[&str]| home.run(words).code;
    assert_eq!(code(&["exec", "dev", "sleep 60", "--timeout", "1"]), 124);
    assert_eq!(code(&["exec", "dev", "--timeout", "1", "sleep 60"]), 124);
    let json = home.run(&["exec", "dev", "echo hi", "--json"]).json();
    assert_eq!(json["stdout"], "hi\n");
    assert_eq!(
        home.ok(&["exec", "dev", "printf", "%s", "--json"]),
        "--json"
    );
    assert_eq!(home.ok(&["exec", "dev", "--", "printf", "-n"]).len(), 2);
    assert_eq!(home.ok(&["run", "hostname; true", "-n", "late"]), "late");
    let empty = home.run(&["exec", "dev", "--timeout", "1"]);
    assert_eq!(empty.code, 2, "{empty}");
    assert!(empty.stderr.contains("the command is empty"), "{empty}");
    let refused = home.run(&["exec", "dev", "sleep 1", "--timeout", "1", "more"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("go before the VM"), "{refused}");
}

#[test]
fn a_mistyped_option_launches_nothing_and_is_no_vm() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    for (words, meant) in [
        (&["run", "--snapsho", "golden", "make"][..], "'--snapshot'"),
        (&["exec", "--tiemout", "5", "x", "true"], "'--timeout'"),
        (&["exec", "x", "--tiemout", "5", "true"], "'--timeout'"),
        (&["vm", "exec", "--jsn", "x", "true"], "'--json'"),
        (&["exec", "gone", "--tiemout", "5"], "'--timeout'"),
        (&["exec", "-it", "x", "y", "--", "sh"], "one VM"),
        (&["run", "-t", "-o", "json", "sh"], "leave out -t"),
        (&["exec", "-dt", "x", "sh"], "cannot be used with"),
        (&["run", "-d", "sh"], "fastvm exec -d"),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2, "{words:?}\n{ran}");
        assert!(ran.stderr.contains(meant), "{words:?}\n{ran}");
    }
    assert_eq!(home.ok(&["ls", "-o", "id"]), "");
    let program = home.run(&["run", "--", "--no-such-program", "x"]);
    assert_eq!(program.code, 127, "{program}");
}

/// The forms of output that only tables have.
const FOR_TABLES: [[&str; 2]; 5] = [
    ["-o", "csv"],
    ["-o", "name"],
    ["-o", "id"],
    ["--columns", "no-such-column"],
    ["--sort", "no-such-column"],
];

#[test]
fn an_option_of_output_has_an_effect_or_is_refused_by_every_command() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    let readers: &[(&[&str], bool)] = &[
        (&["quota"], false),
        (&["health"], false),
        (&["config", "get"], false),
        (&["config", "path"], false),
        (&["local", "status"], false),
        (&["api", "/v1/vms"], false),
        (&["help"], false),
        (&["man"], false),
        (&["ls"], true),
        (&["vm", "list"], true),
        (&["snapshot", "list"], true),
        (&["volume", "list"], true),
        (&["credential", "list"], true),
        (&["context", "list"], true),
        (&["context", "show"], true),
    ];
    for (words, is_table) in readers {
        let plain = home.ok(words);
        for option in FOR_TABLES {
            let ran = home.run(&[*words, &option[..]].concat());
            let works = ran.code == 0 && *is_table && option[0] == "-o";
            assert!(works || ran.code == 2, "{words:?} {option:?}\n{ran}");
            assert!(
                ran.code == 2 || plain.is_empty() || ran.stdout != plain,
                "{words:?} {option:?}"
            );
        }
    }
    // What is refused is refused before anything is asked or done.
    for (path, command) in commands() {
        let needed = command
            .get_arguments()
            .filter(|arg| arg.is_positional() && arg.is_required_set());
        let values = needed.flat_map(|arg| {
            let count = arg
                .get_num_args()
                .map_or(1, |range| range.min_values().max(1));
            let value = arg.get_possible_values().first().map_or("1025", |_| "");
            std::iter::repeat_n(value.to_owned(), count)
        });
        let words: Vec<OsString> = values.map(OsString::from).collect();
        for option in &FOR_TABLES[3..] {
            let option = option.map(OsString::from);
            let ran = run(&home, &path, &[&words[..], &option].concat());
            assert_eq!(ran.code, 2, "{path:?} {words:?} {option:?}\n{ran}");
        }
    }
}

#[test]
fn a_credential_for_a_volume_that_is_in_no_bucket_is_refused() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["volume", "create", "data", "--size-gib", "1", "--quiet"]);
    let ran = home.run(&["volume", "update", "data", "--credential", "c"]);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("--credential has no effect"), "{ran}");
}

#[test]
fn no_help_breaks_a_line_in_the_middle_of_a_sentence() {
    fn look(command: &Command, path: &str) {
        let mut wide = command.clone().term_width(100_000).max_term_width(100_000);
        for help in [
            wide.render_help().to_string(),
            wide.render_long_help().to_string(),
        ] {
            let mut is_prose = true;
            let mut before: Option<&str> = None;
            for line in help.lines() {
                let text = line.trim();
                match text {
                    "Examples:" | "Example:" | "Commands:" => is_prose = false,
                    "" => is_prose = true,
                    _ if text.starts_with("Usage:") => is_prose = false,
                    _ => {}
                }
                let indent = line.len() - line.trim_start().len();
                if let Some(before) = before.filter(|_| is_prose && !text.is_empty()) {
                    let same = before.len() - before.trim_start().len() == indent;
                    let goes_on = text.starts_with(|letter: char| letter.is_lowercase());
                    let ended = before.ends_with(['.', ':', '?']);
                    let is_item = text.starts_with(['-', '<', '[']);
                    assert!(
                        !same || is_item || (ended && !goes_on),
                        "{path}:\n{before}\n{line}"
                    );
                }
                before = (!text.is_empty()).then_some(line);
            }
        }
        for below in command.get_subcommands() {
            look(below, &format!("{path} {}", below.get_name()));
        }
    }
    let mut root = fastvm::cli::Cli::command();
    root.build();
    look(&root, "fastvm");
    let help = Home::new().ok(&["vm", "launch", "--help"]);
    assert!(
        help.contains("; {n} in the name") && help.contains("'web-{n}'"),
        "{help}"
    );
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let home = Home::new();
    for words in [
        &["--help"][..],
        &["--version"],
        &["ls", "--help"],
        &["help", "ls"],
        &["man"],
    ] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = home.command(words);
        let ran = Ran::of(
            &command
                .stdout(full)
                .stderr(Stdio::piped())
                .output()
                .unwrap(),
        );
        assert_eq!(ran.code, 1, "{words:?}\n{ran}");
        assert!(ran.stderr.contains("cannot write"), "{words:?}\n{ran}");
    }
}

#[test]
fn manual_pages_are_whole_and_clean() {
    let home = Home::new();
    home.ok(&["man", "--dir", "pages", "--quiet"]);
    let mut pages: Vec<_> = std::fs::read_dir(home.join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for section in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH DESCRIPTION\n"] {
            assert!(text.contains(section), "{}\n{text}", page.display());
        }
        let lines: Vec<_> = text.lines().collect();
        let is_empty = lines.windows(3).any(|three| {
            three[0] == ".TP"
                && three
                    .get(2)
                    .is_none_or(|text| text.starts_with('.') || text.trim().is_empty())
        });
        assert!(
            !is_empty,
            "{}: a term without a text\n{text}",
            page.display()
        );
    }
    if lacks_mandoc() {
        return;
    }
    let lint = std::process::Command::new("mandoc")
        .args(["-T", "lint"])
        .args(&pages)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&lint.stdout), "");
}

/// mandoc has no `--version`.
fn lacks_mandoc() -> bool {
    let is_there = ["/usr/bin/mandoc", "/usr/local/bin/mandoc"]
        .iter()
        .any(|path| Path::new(path).exists());
    !is_there && lacks("mandoc")
}

#[test]
fn the_environment_of_the_engine_works_in_any_context_and_shell() {
    let home = Home::new();
    let _serving = Serving::start(&home);
    let env = |words: &[&str]| {
        let mut command = home.command(&[&["local", "env"], words].concat());
        Ran::of(&command.env("FASTVM_CONTEXT", "local").output().unwrap()).stdout
    };
    let script = format!("{}\nexec \"$0\" ls -o id", env(&[]));
    let mut shell = std::process::Command::new("sh");
    let ours = home.command(&[]);
    shell
        .args(["-c", &script])
        .arg(ours.get_program())
        .env_clear();
    for (name, value) in ours.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let ran = Ran::of(&shell.env("FASTVM_CONTEXT", "local").output().unwrap());
    assert_eq!(ran.to_string(), "--- exit 0");
    assert!(env(&[]).ends_with("\nunset FASTVM_CONTEXT\n"));
    let fish = env(&["--shell", "fish"]);
    assert!(
        fish.starts_with("set -gx FASTVM_BASE_URL 'http://"),
        "{fish}"
    );
    assert!(fish.ends_with("\nset -e FASTVM_CONTEXT\n"), "{fish}");
    if !lacks("fish") {
        let script = "\"$argv[1]\" local env --shell fish | source; and \"$argv[1]\" ls; and test -z \"$FASTVM_CONTEXT\"; and string match -q 'http://*' $FASTVM_BASE_URL";
        let ours = home.command(&[]);
        let mut fish = std::process::Command::new("fish");
        fish.args(["--no-config", "--private", "-c", script])
            .arg(ours.get_program())
            .env_clear();
        for (name, value) in ours.get_envs() {
            fish.env(name, value.unwrap_or_default());
        }
        let ran = Ran::of(&fish.env("FASTVM_CONTEXT", "local").output().unwrap());
        assert_eq!(ran.to_string(), "--- exit 0");
    }
    let powershell = env(&["--shell", "powershell"]);
    assert!(
        powershell.starts_with("$env:FASTVM_BASE_URL = 'http://"),
        "{powershell}"
    );
    assert_eq!(
        home.run(&["local", "env", "--shell", "fish", "-o", "json"])
            .code,
        2
    );
    let json: serde_json::Value = serde_json::from_str(&env(&["-o", "json"])).unwrap();
    assert_eq!(json["FASTVM_CONTEXT"], "default");
}

#[test]
fn a_target_that_is_a_place_is_copied_into() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    home.ok(&["exec", "dev", "mkdir /srv/dir && echo 1 >/srv/dir/file"]);
    std::fs::create_dir_all(home.join("in/deep")).unwrap();
    let file = |folder: &str| home.join(folder).join("dir/file").exists();
    let cp_in = |folder: &str, target: &str| {
        let mut command = home.command(&["cp", "dev:/srv/dir", target, "--quiet"]);
        let ran = Ran::of(&command.current_dir(home.join(folder)).output().unwrap());
        assert_eq!(ran.code, 0, "{folder} {target}\n{ran}");
    };
    for (folder, target, made) in [
        ("in/deep", ".", "in/deep"),
        ("in/deep", "..", "in"),
        ("in", "new/", "in/new"),
    ] {
        cp_in(folder, target);
        assert!(file(made), "{folder} {target}");
    }
    // As a shell writes `~`.
    cp_in("in", &home.path().display().to_string());
    assert!(file(""));
    assert!(!home.join("in/file").exists());
    cp_in("in", "as-named");
    assert!(home.join("in/as-named/file").exists());
    for target in [".", "~", "/opt/", "/opt/x/.."] {
        home.ok(&["cp", "in/as-named", &format!("dev:{target}"), "--quiet"]);
    }
    home.ok(&[
        "exec",
        "dev",
        "test -f ~/as-named/file && test -f /opt/as-named/file",
    ]);
}

#[test]
fn a_place_that_takes_no_files_is_called_so() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    std::fs::create_dir(home.join("folder")).unwrap();
    std::fs::write(home.join("folder/file"), vec![1; 300_000]).unwrap();
    for (source, target) in [
        ("folder", "dev:/proc/x"),
        ("folder/file", "dev:/proc/"),
        ("folder", "dev:/sys/"),
    ] {
        let ran = home.run(&["cp", source, target]);
        assert_eq!(ran.code, 1, "{source} {target}\n{ran}");
        assert!(
            ran.stderr.contains("read-only") && !ran.stderr.contains("free"),
            "{ran}"
        );
    }
    home.ok(&["cp", "folder", "dev:/srv/folder", "--quiet"]);
    let ran = home.run(&["cp", "dev:/srv/folder", "/proc/x"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stderr.starts_with("error: /proc/x: cannot write there"),
        "{ran}"
    );
}

#[test]
fn a_terminal_that_cannot_draw_is_shown_no_blocks() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    for (term, draws) in [("dumb", false), ("xterm", true)] {
        let ours = home.command(&["quota"]);
        let mut command = std::process::Command::new("env");
        command
            .arg(format!("TERM={term}"))
            .arg(ours.get_program())
            .arg("quota")
            .env_clear();
        for (name, value) in ours.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut terminal = Terminal::run(command.current_dir(home.path()));
        terminal.wait_for("volumes (GiB)");
        terminal.end();
        terminal.read_to_the_end();
        let text = terminal.text();
        assert_eq!(text.contains(['█', '░']), draws, "{term}\n{text}");
    }
}

#[test]
fn an_unknown_option_behind_a_shell_line_is_refused_and_not_handed_on() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    for (words, says) in [
        (
            &["exec", "dev", "sleep 1", "--tiemout", "5"][..],
            "'--timeout'",
        ),
        (&["exec", "dev", "sleep 1", "--tiemout=5"], "'--timeout'"),
        (&["vm", "exec", "dev", "sleep 1", "--jsno"], "'--json'"),
        (&["run", "sleep 1", "--nmae", "x"], "'--name'"),
        (&["exec", "--all", "echo hi; true", "--gruop"], "'--group'"),
        (
            &["exec", "dev", "echo hi", "--frobnicate"],
            "`--frobnicate` stands behind the command",
        ),
        (
            &["exec", "dev", "echo hi", "-5"],
            "options go before the VM",
        ),
        (&["run", "echo *", "-Z"], "options go before the VM"),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2, "{words:?}\n{ran}");
        assert!(
            ran.stderr.contains(says) && ran.stdout.is_empty(),
            "{words:?}\n{ran}"
        );
    }
    assert_eq!(home.ok(&["ls", "-o", "name"]), "dev");
    for (words, says) in [
        (&["exec", "dev", "echo", "--tiemout"][..], "--tiemout"),
        (
            &["exec", "dev", "--", "printf", "%s", "--tiemout"],
            "--tiemout",
        ),
        (&["exec", "dev", "printf", "%s", "--tiemout"], "--tiemout"),
        (&["run", "echo", "-n", "x"], "x"),
    ] {
        assert_eq!(home.ok(words), says, "{words:?}");
    }
}

#[test]
fn options_that_name_files_here_take_paths_of_any_bytes() {
    let is_path = |arg: &Arg| {
        let id = arg.get_value_parser().type_id();
        id == std::any::TypeId::of::<std::path::PathBuf>()
            || id == std::any::TypeId::of::<OsString>()
    };
    let mut options = 0;
    for (path, command) in commands() {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let names = arg.get_value_names().unwrap_or_default();
            // That of --workdir is in the VM.
            if arg.get_id() != "folder"
                && arg.get_action().takes_values()
                && names.iter().any(|name| name == "FILE" || name == "DIR")
            {
                assert!(is_path(arg), "{path:?} {arg}");
                options += 1;
            }
        }
    }
    assert!(options > 60, "{options}");
    let home = Home::new();
    let serving = Serving::start(&home);
    let away = Home::new()
        .beside(&home)
        .set("FASTVM_BASE_URL", &serving.url);
    let file = |content: &str| std::fs::write(home.path().join(bytes()), content).unwrap();
    let run = |words: &[&str], last: OsString| {
        let key = format!("--api-key={}", serving.key);
        let mut command = match words.contains(&"--api-key-file") {
            true => away.command(words),
            false => away.command(&[&[key.as_str()], words].concat()),
        };
        Ran::of(&command.arg(last).output().unwrap())
    };
    file(&serving.key);
    std::process::Command::new("chmod")
        .arg("600")
        .arg(home.path().join(bytes()))
        .status()
        .unwrap();
    let listed = run(&["ls", "-o", "name", "--api-key-file"], bytes());
    assert_eq!(listed.code, 0, "{listed}");
    file("A=from-file\n");
    let launch = [
        "launch",
        "-n",
        "dev",
        "--no-console",
        "--quiet",
        "--env-file",
    ];
    assert_eq!(run(&launch, bytes()).code, 0);
    let value = |ran: Ran| {
        assert_eq!(ran.code, 0, "{ran}");
        ran.stdout
    };
    let joined = |start: &str| [OsStr::new(start), &bytes()].concat_os();
    assert_eq!(
        value(run(
            &["exec", "dev", "-c", "echo $A"],
            joined("--env-file=")
        )),
        "from-file\n"
    );
    assert_eq!(
        value(run(&["exec", "dev", "-c", "cat"], joined("--stdin-file="))),
        "A=from-file\n"
    );
    file("secret");
    let create = [
        "credential",
        "create",
        "c",
        "--type",
        "s3",
        "-q",
        ".name",
        "--data-file",
    ];
    assert_eq!(value(run(&create, bytes())), "c\n");
    file("{\"name\": \"from-input\"}");
    let id = home.ok(&["--local", "ls", "-o", "id"]);
    let patch = ["api", "PATCH", &format!("/v1/vms/{id}"), "-q", ".name"];
    assert_eq!(
        value(run(&[&patch[..], &["--input"]].concat(), bytes())),
        "from-input\n"
    );
    file("from-field");
    assert_eq!(
        value(run(&[&patch[..], &["-F"]].concat(), joined("name=@"))),
        "from-field\n"
    );
    for words in [&["-F"][..], &["-f"]] {
        let ran = run(&[&patch[..], words].concat(), joined("name="));
        assert_eq!(ran.code, 2, "{ran}");
        assert!(
            ran.stderr
                .contains("error: the field `name=x\\xFF` is not UTF-8"),
            "{ran}"
        );
    }
    file("*.o\n");
    std::fs::create_dir(home.join("tree")).unwrap();
    std::fs::write(home.join("tree/a.o"), "").unwrap();
    let copied = run(
        &["cp", "tree", "from-field:/srv/tree", "-q", ".files"],
        joined("--ignore-file="),
    );
    assert_eq!(value(copied), "0\n");
    let ran = run(&["man", "--quiet"], joined("--dir=pages-"));
    assert_eq!(ran.code, 0, "{ran}");
    assert!(home.path().join(joined("pages-")).join("fastvm.1").exists());
    for option in ["--dockerfile=", "--context="] {
        let ran = run(&["build", "create"], joined(option));
        assert!(
            !ran.stderr.contains("UTF-8") && !ran.stderr.contains("bug"),
            "{ran}"
        );
    }
}

/// Joins words of any bytes.
trait ConcatOs {
    fn concat_os(&self) -> OsString;
}

impl ConcatOs for [&OsStr; 2] {
    fn concat_os(&self) -> OsString {
        let mut joined = self[0].to_owned();
        joined.push(self[1]);
        joined
    }
}

#[test]
fn no_usage_shows_the_syntax_of_groups() {
    let is_plain =
        |text: &str| !text.contains("|-") && !text.contains("<-") && !text.contains("|<");
    let home = Home::new();
    for (path, mut command) in commands() {
        let help = command.render_long_help().to_string();
        let usage = help
            .lines()
            .find(|line| line.starts_with("Usage: "))
            .unwrap();
        assert!(is_plain(usage), "{path:?}\n{usage}");
        let flags = command.get_arguments().filter(|arg| {
            !arg.is_global_set()
                && !arg.is_positional()
                && arg.get_id() != "help"
                && !arg.get_action().takes_values()
        });
        let flags: Vec<OsString> = flags.filter_map(long).collect();
        let mut lines = vec![vec!["--no-such-option".into()]];
        if path != ["local", "reset"] && path != ["man"] && path != ["local", "serve"] {
            lines.push(Vec::new());
            lines.push(flags.clone());
            lines.extend(
                flags
                    .into_iter()
                    .map(|flag| vec!["no-such-vm".into(), flag]),
            );
        }
        for words in lines {
            let mut line: Vec<OsString> = vec!["fastvm".into()];
            line.extend(path.iter().map(OsString::from));
            line.extend(words);
            if let Err(error) = fastvm::cli::Cli::command().try_get_matches_from(&line)
                && error.kind() != ErrorKind::DisplayHelp
            {
                let text = error.to_string();
                assert!(is_plain(&text), "{line:?}\n{text}");
            }
        }
    }
    for (words, says) in [
        (&["vm", "update", "dev"][..], "nothing is to be changed"),
        (&["firewall", "patch", "dev"], "nothing is to be changed"),
        (&["volume", "update", "data"], "nothing is to be changed"),
        (
            &["volume", "create", "data"],
            "a volume needs a size or a bucket",
        ),
        (&["build", "create"], "there is nothing to build from"),
    ] {
        let ran = home.run(&[&["--local"], words].concat());
        assert_eq!(ran.code, 2, "{ran}");
        assert!(
            ran.stderr
                .starts_with(&format!("error: {says}\nhint: give --")),
            "{ran}"
        );
    }
    let both = [
        "--local",
        "volume",
        "create",
        "--size-gib",
        "1",
        "--byo",
        "s3://b/p",
        "--credential",
        "c",
    ];
    assert_eq!(home.run(&both).code, 2);
}

#[test]
fn a_vm_with_a_colon_in_its_name_can_be_copied_from() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "colon:vm", "--quiet"]);
    let id = home.ok(&["ls", "-o", "id"]);
    for (source, target) in [
        (r"colon\:vm:/etc/hostname", "escaped"),
        ("vm://colon%3Avm/etc/hostname", "url"),
        (&format!("{id}:/etc/hostname"), "id"),
    ] {
        home.ok(&["cp", source, target, "--quiet"]);
        assert!(home.join(target).exists(), "{source}");
    }
    for words in [
        ["cp", "colon:vm:/etc/hostname", "x"],
        ["cp", "id", "colon:vm:/tmp/"],
    ] {
        let ran = home.run(&words);
        assert_eq!(ran.code, 3, "{ran}");
        assert!(ran.stderr.contains(r"'colon\:…:PATH'"), "{ran}");
    }
    assert!(home.ok(&["cp", "--help"]).contains(r"'a\:b:PATH'"));
}

#[test]
fn a_tilde_that_no_shell_expanded_is_refused() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    for words in [
        ["cp", "dev:/etc/hostname", "~"],
        ["cp", "dev:/etc/hostname", "~/x"],
        ["cp", "~/x", "dev:/tmp/"],
    ] {
        let ran = home.run(&words);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(
            ran.stderr.contains("is not expanded") && ran.stderr.contains("./~"),
            "{ran}"
        );
    }
    assert!(!home.join("~").exists());
    home.ok(&["cp", "dev:/etc/hostname", "./~", "--quiet"]);
    home.ok(&["cp", "dev:/etc/hostname", "~x", "--quiet"]);
    assert!(home.join("~").exists() && home.join("~x").exists());
}

#[test]
fn a_path_of_the_api_that_would_become_another_is_refused() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    for path in [
        "/v1/../../etc",
        "/v1/./vms",
        "..",
        "/v1/vms/..",
        "v1/%2e%2E/x",
        "/v1/.%2e",
        r"/v1\..\x",
        "/v1/.\t./x",
        "/v1/vms\n",
    ] {
        let ran = home.run(&["api", path]);
        assert_eq!(ran.code, 2, "{path}\n{ran}");
        assert!(
            ran.stderr.starts_with("error: the path \""),
            "{path}\n{ran}"
        );
    }
    for path in ["/v1/vms?x=../..", "v1/vms", "/v1/vms#/../"] {
        home.ok(&["api", path]);
    }
    assert_eq!(home.run(&["api", "/v1/vms/...."]).code, 3);
}

#[test]
fn a_status_that_the_api_does_not_name_is_told() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    home.ok(&["launch", "--no-console", "-n", "dev", "--quiet"]);
    for (status, says) in [
        ("runing", "did you mean running?"),
        ("RUNNING", "did you mean running?"),
        ("xyz", "those of the API are provisioning, running,"),
    ] {
        for words in [&["ls"][..], &["vm", "list"], &["vm", "pause"], &["exec"]] {
            let words = match words[0] {
                "exec" => vec!["exec", "--status", status, "true"],
                _ => [words, &["--status", status]].concat(),
            };
            let ran = home.run(&words);
            let line = format!("no VM has the status {status:?}; {says}");
            assert!(ran.stderr.contains(&line), "{words:?}\n{ran}");
            assert!(ran.stdout.is_empty(), "{words:?}\n{ran}");
        }
    }
    for status in ["paused", "running"] {
        let ran = home.run(&["ls", "--status", status]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
    }
    let mixed = home.run(&[
        "ls", "--status", "running", "--status", "runing", "-o", "name",
    ]);
    assert_eq!((mixed.code, mixed.stdout.as_str()), (0, "dev\n"), "{mixed}");
    assert!(mixed.stderr.contains("did you mean running?"), "{mixed}");
}
