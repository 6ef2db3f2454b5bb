//! Every command with every option of output: each has its effect, or is refused before anything is done.

use clap::{Command, CommandFactory as _};

use crate::common::{Home, Ran, Serving};

/// What each option does to what is printed.
const OPTIONS: &[&[&str]] = &[
    &["-o", "table"],
    &["-o", "wide"],
    &["-o", "json"],
    &["-o", "jsonl"],
    &["-o", "yaml"],
    &["-o", "csv"],
    &["-o", "name"],
    &["-o", "id"],
    &["--json"],
    &["-q", "type"],
    &["--columns", "COLUMN"],
    &["--sort", "COLUMN"],
    &["--no-header"],
    &["--no-trunc"],
];

/// How a command is run so that it prints.
enum Recipe {
    Run(&'static [&'static str]),
    /// The first words make what the others use up.
    After(&'static [&'static str], &'static [&'static str]),
    /// It prints nothing that options could change: all are refused.
    Nothing(&'static [&'static str]),
    /// It needs what this test does not have, so that only refusals are looked at.
    Elsewhere(&'static [&'static str]),
}

/// The recipe of a command, and the first column of its table.
fn recipe(path: &str) -> (Recipe, &'static str) {
    use Recipe::{After, Elsewhere, Nothing, Run};
    match path {
        "vm list" => (Run(&["vm", "list"]), "name"),
        "ls" => (Run(&["ls"]), "name"),
        "vm get" => (Run(&["vm", "get", "dev"]), "name"),
        "vm launch" => (
            After(
                &["vm", "delete", "--name", "made*", "--yes", "--quiet"],
                &["vm", "launch", "-n", "made"],
            ),
            "name",
        ),
        "launch" => (
            After(
                &["vm", "delete", "--name", "made*", "--yes", "--quiet"],
                &["launch", "--no-console", "-n", "made"],
            ),
            "name",
        ),
        "vm fork" => (
            After(
                &["vm", "delete", "--name", "made*", "--yes", "--quiet"],
                &["vm", "fork", "dev", "-n", "made"],
            ),
            "name",
        ),
        "vm rename" => (Run(&["vm", "rename", "dev", "dev"]), "name"),
        "vm update" => (Run(&["vm", "update", "dev", "--metadata", "a=b"]), "name"),
        "vm wait" => (Run(&["vm", "wait", "dev"]), "name"),
        "vm pause" => (
            After(&["vm", "resume", "two", "--quiet"], &["vm", "pause", "two"]),
            "name",
        ),
        "vm resume" => (
            After(&["vm", "pause", "two", "--quiet"], &["vm", "resume", "two"]),
            "name",
        ),
        "vm refresh-ttl" => (
            After(
                &["vm", "update", "dev", "--ttl", "1h:pause", "--quiet"],
                &["vm", "refresh-ttl", "dev"],
            ),
            "name",
        ),
        "vm delete" => (
            After(
                &["vm", "launch", "-n", "gone", "--quiet"],
                &["vm", "delete", "gone", "--yes"],
            ),
            "id",
        ),
        "rm" => (
            After(
                &["vm", "launch", "-n", "gone", "--quiet"],
                &["rm", "gone", "--yes"],
            ),
            "id",
        ),
        "vm firewall get" | "firewall get" => (Run(&["firewall", "get", "dev"]), "protocol"),
        "vm firewall set" | "firewall set" => (
            Run(&[
                "firewall",
                "set",
                "dev",
                "--mode",
                "restricted",
                "--rule",
                "tcp:443",
            ]),
            "protocol",
        ),
        "vm firewall patch" | "firewall patch" => (
            Run(&["firewall", "patch", "dev", "--rule", "tcp:443"]),
            "protocol",
        ),
        "vm firewall allow" | "firewall allow" => {
            (Run(&["firewall", "allow", "dev", "tcp:443"]), "protocol")
        }
        "vm firewall deny" | "firewall deny" => (
            After(
                &["firewall", "allow", "dev", "tcp:80", "tcp:443", "--quiet"],
                &["firewall", "deny", "dev", "tcp:80"],
            ),
            "protocol",
        ),
        "vm exec" => (Run(&["vm", "exec", "OPTION", "dev", "echo", "hi"]), "name"),
        "exec" => (Run(&["exec", "OPTION", "dev", "echo", "hi"]), "name"),
        "run" => (Run(&["run", "OPTION", "echo", "hi"]), "name"),
        "vm cp" => (Run(&["vm", "cp", "file", "dev:/tmp/"]), "name"),
        "cp" => (Run(&["cp", "file", "dev:/tmp/"]), "name"),
        "vm console" => (Nothing(&["vm", "console", "dev"]), "name"),
        "console" => (Nothing(&["console", "dev"]), "name"),
        "snapshot list" => (Run(&["snapshot", "list"]), "name"),
        "snapshot get" => (Run(&["snapshot", "get", "golden"]), "name"),
        "snapshot create" => (Run(&["snapshot", "create", "dev"]), "name"),
        "snapshot rename" => (Run(&["snapshot", "rename", "golden", "golden"]), "name"),
        "snapshot restore" => (
            After(
                &["vm", "delete", "--name", "made*", "--yes", "--quiet"],
                &["snapshot", "restore", "golden", "-n", "made"],
            ),
            "name",
        ),
        "snapshot delete" => (
            After(
                &["snapshot", "create", "dev", "-n", "gone", "--quiet"],
                &["snapshot", "delete", "gone", "--yes"],
            ),
            "id",
        ),
        "service list" => (Run(&["service", "list", "dev"]), "name"),
        "service add" => (
            After(
                &[
                    "service",
                    "delete",
                    "dev",
                    "new",
                    "--yes",
                    "--ignore-not-found",
                ],
                &["service", "add", "dev", "new", "9000"],
            ),
            "name",
        ),
        "service update" => (Run(&["service", "update", "dev", "web", "8081"]), "name"),
        "service delete" => (
            After(
                &["service", "add", "dev", "gone", "9001", "--quiet"],
                &["service", "delete", "dev", "gone", "--yes"],
            ),
            "id",
        ),
        "volume list" => (Run(&["volume", "list"]), "name"),
        "volume get" => (Run(&["volume", "get", "data"]), "name"),
        "volume create" => (
            Run(&["volume", "create", "more", "--size-gib", "1"]),
            "name",
        ),
        "volume update" => (Run(&["volume", "update", "data", "--name", "data"]), "name"),
        "volume attachments" => (Run(&["volume", "attachments", "data"]), "vm"),
        "volume diagnostics" => (Run(&["volume", "diagnostics", "data"]), "name"),
        "volume delete" => (
            After(
                &["volume", "create", "gone", "--size-gib", "1", "--quiet"],
                &["volume", "delete", "gone", "--yes"],
            ),
            "id",
        ),
        "credential list" => (Run(&["credential", "list"]), "name"),
        "credential create" => (
            Run(&[
                "credential",
                "create",
                "bucket",
                "--type",
                "s3",
                "--data-file",
                "key.json",
            ]),
            "name",
        ),
        "credential delete" => (
            After(
                &[
                    "credential",
                    "create",
                    "gone",
                    "--type",
                    "s3",
                    "--data-file",
                    "key.json",
                    "--quiet",
                ],
                &["credential", "delete", "gone", "--yes"],
            ),
            "id",
        ),
        // The engine of this machine builds no images.
        "build create" => (Elsewhere(&["build", "create", "--image", "x"]), "id"),
        "build get" => (Elsewhere(&["build", "get", "x"]), "id"),
        "files presign" => (Run(&["files", "presign", "dev", "/x"]), "name"),
        "files fetch" => (
            Elsewhere(&["files", "fetch", "dev", "http://127.0.0.1:9/x", "/x"]),
            "name",
        ),
        "top" => (Run(&["top", "--once", "--interval", "500ms"]), "name"),
        "prune" => (Run(&["prune", "--dry-run", "--older-than", "0s"]), "name"),
        "doctor" => (Elsewhere(&["doctor"]), "check"),
        "api" => (Run(&["api", "/v1/vms"]), "name"),
        "quota" => (Run(&["quota"]), "resource"),
        "mcp" => (Nothing(&["mcp"]), "name"),
        "health" => (Run(&["health"]), "status"),
        "context list" => (Run(&["context", "list"]), "name"),
        "context show" => (Run(&["context", "show"]), "setting"),
        "context use" => (Nothing(&["context", "use", "default"]), "name"),
        "context create" => (
            Nothing(&["context", "create", "x", "--base-url", "https://x.example"]),
            "name",
        ),
        "context delete" => (Nothing(&["context", "delete", "x"]), "name"),
        "config get" => (Run(&["config", "get"]), "name"),
        "config path" => (Run(&["config", "path"]), "name"),
        "config set" => (
            Nothing(&["config", "set", "base_url", "https://x.example"]),
            "name",
        ),
        "login" => (Nothing(&["login"]), "name"),
        "logout" => (Nothing(&["logout"]), "name"),
        "local status" => (Run(&["local", "status"]), "name"),
        "local env" => (Run(&["local", "env"]), "name"),
        // It goes on until it is told to end; with a port that is taken it ends at once.
        "local serve" => (Elsewhere(&["local", "serve", "--listen", "TAKEN"]), "name"),
        // It wants an engine that does not work.
        "local repair" => (Elsewhere(&["local", "repair"]), "name"),
        "job list" => (
            After(
                &["exec", "-d", "dev", "true", "--quiet"],
                &["job", "list", "dev"],
            ),
            "id",
        ),
        "job logs" => (Nothing(&["job", "logs", "dev", "0000"]), "name"),
        "job attach" => (Nothing(&["job", "attach", "dev", "0000"]), "name"),
        "job wait" => (Nothing(&["job", "wait", "dev", "0000"]), "name"),
        "job kill" => (Nothing(&["job", "kill", "dev", "0000"]), "name"),
        "job rm" => (Nothing(&["job", "rm", "dev", "0000"]), "name"),
        // It lists processes in the background, which tests of their own have.
        "forward list" => (Elsewhere(&["forward", "list"]), "id"),
        "local forward list" => (Elsewhere(&["local", "forward", "list"]), "id"),
        "forward stop" => (Nothing(&["forward", "stop", "dev"]), "name"),
        "local forward stop" => (Nothing(&["local", "forward", "stop", "dev"]), "name"),
        "rsh" => (Nothing(&["rsh", "OPTION", "dev", "true"]), "name"),
        "ssh" => (Nothing(&["ssh", "OPTION", "dev", "true"]), "name"),
        "ssh setup" => (Nothing(&["ssh", "setup"]), "name"),
        "local reset" => (Nothing(&["local", "reset"]), "name"),
        "mcp install" => (Run(&["mcp", "install", "cursor"]), "name"),
        "mcp uninstall" => (Run(&["mcp", "uninstall", "cursor"]), "name"),
        "skills install" => (Run(&["skills", "install"]), "name"),
        "skills show" => (Nothing(&["skills", "show"]), "name"),
        "completion" => (Nothing(&["completion", "bash"]), "name"),
        "man" => (Nothing(&["man"]), "name"),
        "help" => (Nothing(&["help"]), "name"),
        other => panic!(
            "there is no recipe for `fastvm {other}`: say what it prints in `prints::of` and here"
        ),
    }
}

/// The paths of all commands that do something.
fn paths() -> Vec<String> {
    fn below(command: &Command, path: &[&str], found: &mut Vec<String>) {
        if !command.has_subcommands() {
            found.push(path.join(" "));
        }
        for inner in command.get_subcommands() {
            below(inner, &[path, &[inner.get_name()]].concat(), found);
        }
    }
    let mut root = fastvm::cli::Cli::command();
    root.build();
    let mut found = Vec::new();
    below(&root, &[], &mut found);
    assert!(found.len() > 60, "{}", found.len());
    found
}

/// An engine that goes on, and in it one of everything.
struct World {
    serving: Serving,
    /// Goes after what is served from it.
    home: Home,
}

impl World {
    fn new() -> Self {
        let home = Home::new();
        let serving = Serving::start(&home);
        let home = home
            .set("FASTVM_BASE_URL", &serving.url)
            .set("FASTVM_API_KEY", &serving.key);
        std::fs::write(home.join("file"), "content").unwrap();
        std::fs::write(
            home.join("key.json"),
            "{\"accessKeyId\":\"a\",\"secretAccessKey\":\"b\"}",
        )
        .unwrap();
        for words in [
            &["volume", "create", "data", "--size-gib", "1", "--quiet"][..],
            &[
                "launch",
                "-n",
                "dev",
                "--no-console",
                "--quiet",
                "--volume",
                "data:/data",
            ],
            &["launch", "-n", "two", "--no-console", "--quiet"],
            &["snapshot", "create", "dev", "-n", "golden", "--quiet"],
            &["service", "add", "dev", "web", "8080", "--quiet"],
            &[
                "firewall",
                "set",
                "dev",
                "--mode",
                "restricted",
                "--rule",
                "tcp:443",
                "--quiet",
            ],
            &[
                "credential",
                "create",
                "bucket",
                "--type",
                "s3",
                "--data-file",
                "key.json",
                "--quiet",
            ],
        ] {
            home.ok(words);
        }
        Self { home, serving }
    }

    fn run(&self, words: &[&str], option: &[&str]) -> Ran {
        let taken = self.serving.url.trim_start_matches("http://");
        let mut all = Vec::new();
        for word in words {
            match *word {
                "OPTION" => all.extend(option),
                "TAKEN" => all.push(taken),
                word => all.push(word),
            }
        }
        if !words.contains(&"OPTION") {
            all.extend(option);
        }
        self.home.run(&all)
    }
}

/// Whether the option is refused in one line that names it, with nothing done.
fn is_refused(ran: &Ran, option: &[&str]) -> bool {
    let shown = match option {
        ["-o", format] => format!("error: -o {format} has no effect"),
        // As it is the same.
        ["--json"] => "error: -o json has no effect".to_owned(),
        [name, ..] => format!("error: {name} has no effect"),
        [] => unreachable!(),
    };
    let is_refused = ran.stderr.contains("has no effect");
    if is_refused {
        assert_eq!(ran.code, 2, "{option:?}\n{ran}");
        assert!(ran.stderr.starts_with(&shown), "{option:?}\n{ran}");
        assert!(ran.stdout.is_empty(), "{option:?}\n{ran}");
    }
    is_refused
}

/// Asserts that what was printed is in the form that the option asks for.
#[track_caller]
fn assert_effect(path: &str, option: &[&str], column: &str, plain: &Ran, ran: &Ran) {
    let case = format!("{path} {option:?}\n{ran}\nplain: {plain}");
    assert_eq!(ran.code, 0, "{case}");
    let text = ran.stdout.trim_end();
    let first = text.lines().next().unwrap_or_default();
    let is_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    match option {
        ["-o", "table" | "wide"] => assert!(
            !is_json(text) || text.is_empty() || text.parse::<f64>().is_ok(),
            "{case}"
        ),
        ["-o", "json"] | ["--json"] => assert!(is_json(text), "{case}"),
        ["-o", "jsonl"] => assert!(!text.is_empty() && text.lines().all(is_json), "{case}"),
        ["-o", "yaml"] => assert!(!is_json(text) && text.contains(": "), "{case}"),
        ["-o", "csv"] => assert!(
            first.contains(',') && first == first.to_lowercase(),
            "{case}"
        ),
        ["-o", "name" | "id"] => {
            assert!(!text.is_empty() && !text.contains([',', '{']), "{case}");
            assert!(text != plain.stdout.trim_end(), "{case}");
        }
        ["-q", _] => assert!(["object", "array", "null"].contains(&text), "{case}"),
        ["--columns", _] => {
            let shown = first.trim_end();
            let is_table = text
                .lines()
                .any(|line| line.trim_end() == column.to_uppercase());
            assert!(
                is_table || shown.starts_with(&format!("{column}:")),
                "{case}"
            );
        }
        ["--sort", _] => assert!(text.contains(&column.to_uppercase()), "{case}"),
        ["--no-header"] => {
            assert!(!text.is_empty(), "{case}");
            let has_header = |text: &str| {
                text.lines()
                    .any(|line| line.contains(&column.to_uppercase()))
            };
            assert!(
                !has_header(text) && text != plain.stdout.trim_end(),
                "{case}"
            );
        }
        // It shows at a terminal alone, and in one the line of an outcome becomes a table.
        ["--no-trunc"] => assert!(text.contains(&column.to_uppercase()), "{case}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_option_of_output_has_its_effect_on_each_command_or_is_refused() {
    let world = World::new();
    for path in paths() {
        let (recipe, column) = recipe(&path);
        let mut accepted = 0;
        let mut plain = None;
        for option in OPTIONS {
            let option: Vec<&str> = option
                .iter()
                .map(|word| if *word == "COLUMN" { column } else { word })
                .collect();
            let (before, words) = match &recipe {
                Recipe::After(before, words) => (*before, *words),
                Recipe::Run(words) | Recipe::Nothing(words) | Recipe::Elsewhere(words) => {
                    (&[][..], *words)
                }
            };
            let prepare = || {
                if !before.is_empty() {
                    world.home.ok(before);
                }
            };
            let mut ran = world.run(words, &option);
            if is_refused(&ran, &option) {
                continue;
            }
            if !before.is_empty() {
                prepare();
                ran = world.run(words, &option);
            }
            accepted += 1;
            match &recipe {
                Recipe::Nothing(_) => panic!("{path} takes {option:?}\n{ran}"),
                Recipe::Elsewhere(_) => continue,
                Recipe::Run(_) | Recipe::After(..) => {}
            }
            let plain = plain.get_or_insert_with(|| {
                prepare();
                world.run(words, &[])
            });
            assert_effect(&path, &option, column, plain, &ran);
        }
        let is_nothing = matches!(recipe, Recipe::Nothing(_));
        assert_eq!(accepted == 0, is_nothing, "{path}");
    }
}

#[test]
fn what_a_filter_or_a_format_leaves_without_effect_is_refused_too() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    for (words, says) in [
        (
            &["ls", "--columns", "name", "-o", "json"][..],
            "--columns has no effect on `fastvm ls` with -o json",
        ),
        (
            &["ls", "--columns", "name", "--json"],
            "--columns has no effect on `fastvm ls` with -o json",
        ),
        (
            &["ls", "--columns", "name", "-o", "id"],
            "--columns has no effect on `fastvm ls` with -o id",
        ),
        (
            &["ls", "--columns", "name", "-q", "."],
            "--columns has no effect on `fastvm ls` with -q",
        ),
        (
            &["ls", "--no-header", "-o", "yaml"],
            "--no-header has no effect on `fastvm ls` with -o yaml",
        ),
        (
            &["ls", "--no-trunc", "-o", "csv"],
            "--no-trunc has no effect on `fastvm ls` with -o csv",
        ),
        (
            &["ls", "-q", ".", "-o", "csv"],
            "-o csv has no effect on `fastvm ls` with -q",
        ),
        (
            &["firewall", "get", "x", "--sort", "ports", "--json"],
            "--sort has no effect on `fastvm firewall get` with -o json",
        ),
        (
            &["rm", "x", "--columns", "id"],
            "--columns has no effect on `fastvm rm` without -o csv",
        ),
        (
            &["vm", "get", "x", "--no-header"],
            "--no-header has no effect on `fastvm vm get` without -o csv",
        ),
        (
            &["vm", "get", "x", "--sort", "name"],
            "--sort has no effect on `fastvm vm get`, which prints one thing",
        ),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2, "{words:?}\n{ran}");
        assert!(
            ran.stderr.starts_with(&format!("error: {says}\n")),
            "{words:?}\n{ran}"
        );
    }
    let ran = home.run(&["ls", "--columns", "name", "-o", "json"]);
    assert!(
        ran.stderr.contains("jq") && ran.stderr.contains("-o csv"),
        "{ran}"
    );
    // One that only stands in the environment is about other commands.
    let home = home.set("FASTVM_OUTPUT", "json");
    home.ok(&["completion", "bash"]);
    home.ok(&["context", "use", "local"]);
    let ran = home.run(&["ls", "--no-header"]);
    assert_eq!(ran.code, 2, "{ran}");
    home.ok(&["ls", "--no-header", "-o", "table"]);
}

#[test]
fn the_later_of_two_options_for_one_thing_wins() {
    let home = Home::new();
    home.ok(&["--local", "launch", "-n", "dev", "--no-console", "--quiet"]);
    for (words, says) in [
        (&["--local", "--json", "ls", "-o", "name"][..], "dev"),
        (&["--local", "ls", "--json", "-o", "name"], "dev"),
        (&["--local", "-ojson", "--json", "ls", "-oname"], "dev"),
        (
            &["--context", "elsewhere", "ls", "--local", "-o", "name"],
            "dev",
        ),
        (
            &[
                "--local",
                "ls",
                "--context",
                "elsewhere",
                "--context",
                "local",
                "-o",
                "name",
            ],
            "dev",
        ),
    ] {
        assert_eq!(home.ok(words), says, "{words:?}");
    }
    for words in [
        &["--local", "-o", "name", "ls", "--json"][..],
        &["--local", "ls", "-o", "csv", "--json"],
        &["--local", "ls", "--json", "-o", "csv", "-o", "json"],
    ] {
        assert_eq!(home.run(words).json()[0]["name"], "dev", "{words:?}");
    }
    for words in [
        &["--local", "ls", "--context", "elsewhere"][..],
        &["--local", "--context", "elsewhere", "ls"],
        &["ls", "--local", "--context=elsewhere"],
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 3, "{words:?}\n{ran}");
        assert!(ran.stderr.contains("elsewhere"), "{words:?}\n{ran}");
    }
    let json = home.run(&["-o", "csv", "vm", "get", "--local", "none", "--json"]);
    assert!(json.stderr.contains("{\"error\""), "{json}");
    let text = home.run(&["--json", "vm", "get", "--local", "none", "-o", "csv"]);
    assert!(!text.stderr.contains("{\"error\""), "{text}");
    let unread = home.run(&["--json", "vm", "get", "--nope", "-o", "csv"]);
    assert!(!unread.stderr.contains("{\"error\""), "{unread}");
}

#[test]
fn a_url_of_this_machine_and_the_local_context_in_the_environment_agree() {
    let home = Home::new();
    let serving = Serving::start(&home);
    home.ok(&["--local", "launch", "-n", "dev", "--no-console", "--quiet"]);
    let both = Home::new()
        .beside(&home)
        .set("FASTVM_BASE_URL", &serving.url)
        .set("FASTVM_API_KEY", &serving.key)
        .set("FASTVM_CONTEXT", "local");
    assert_eq!(both.ok(&["ls", "-o", "name"]), "dev");
    drop(serving);
    let ran = both.run(&["ls", "-o", "name"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "dev\n"), "{ran}");
    assert!(
        ran.stderr
            .contains("sets FASTVM_API_KEY and FASTVM_BASE_URL aside"),
        "{ran}"
    );
    // One that leads elsewhere is not guessed about.
    let elsewhere = both.set("FASTVM_BASE_URL", "https://api.example.com");
    assert_eq!(elsewhere.run(&["ls"]).code, 2);
    assert_eq!(elsewhere.run(&["--local", "ls"]).code, 0);
}
