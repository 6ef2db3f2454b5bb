//! `mcp install`, `mcp uninstall` and `skills`: the configs of other programs, and the text that agents read.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use crate::common::{FASTVM, Home, Ran, skip};

/// A client, its config below the home, and what an entry has beside the command.
struct Client {
    word: &'static str,
    path: &'static str,
    section: &'static str,
    kind: Option<(&'static str, &'static str)>,
}

const fn client(
    word: &'static str,
    path: &'static str,
    section: &'static str,
    kind: Option<(&'static str, &'static str)>,
) -> Client {
    Client {
        word,
        path,
        section,
        kind,
    }
}

const STDIO: Option<(&str, &str)> = Some(("type", "stdio"));

const JSON_CLIENTS: &[Client] = &[
    client("claude", ".claude.json", "mcpServers", STDIO),
    client(
        "claude-desktop",
        ".config/Claude/claude_desktop_config.json",
        "mcpServers",
        None,
    ),
    client("cursor", ".cursor/mcp.json", "mcpServers", None),
    client("vscode", ".config/Code/User/mcp.json", "servers", STDIO),
    client(
        "zed",
        ".config/zed/settings.json",
        "context_servers",
        Some(("source", "custom")),
    ),
    client("gemini", ".gemini/settings.json", "mcpServers", None),
];

const CODEX: &str = ".codex/config.toml";

fn install(home: &Home, word: &str) -> Ran {
    home.run(&["mcp", "install", word])
}

/// Puts a file below the home, with the folders above it.
fn put(home: &Home, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = home.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn parsed(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

/// What the user sees, with `~` for the home.
fn shown(home: &Home, ran: &Ran) -> String {
    let home = home.path().display().to_string();
    ran.to_string()
        .replace(&home, "~")
        .replace(FASTVM, "FASTVM")
}

#[test]
fn a_config_that_is_missing_is_made_and_only_the_user_reads_it() {
    let home = Home::new();
    for Client {
        word,
        path,
        section,
        kind,
    } in JSON_CLIENTS
    {
        let words = ["--local", "mcp", "install", word, "--read-only"];
        let report = home.run(&[&words[..], &["-o", "json"]].concat()).json();
        let path = home.join(path);
        let server = json!({ "command": FASTVM, "args": ["--local", "mcp", "--read-only"] });
        assert_eq!(
            report,
            json!({
                "client": word,
                "path": path,
                "changed": true,
                "dryRun": false,
                "server": server,
            })
        );
        let mut entry = server;
        if let Some((name, value)) = kind {
            entry[*name] = (*value).into();
        }
        assert_eq!(
            parsed(&path),
            json!({ *section: { "fastvm": entry } }),
            "{word}"
        );
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        home.ok(&["mcp", "uninstall", word]);
        assert_eq!(parsed(&path), json!({ *section: {} }), "{word}");
    }
}

#[test]
fn a_missing_config_of_codex_is_made() {
    let home = Home::new();
    home.ok(&["mcp", "install", "codex", "--", "--read-only"]);
    let expected = format!(
        "[mcp_servers.fastvm]\ncommand = \"{FASTVM}\"\nargs = [\"mcp\", \"--read-only\"]\n"
    );
    assert_eq!(read(&home.join(CODEX)), expected);
    home.ok(&["mcp", "uninstall", "codex"]);
    assert_eq!(read(&home.join(CODEX)), "");
}

/// Configs as clients and people write them: an entry goes in, nothing else changes, and it comes out again.
#[test]
fn other_servers_and_comments_stay_and_uninstall_gives_back_the_bytes() {
    let home = Home::new();
    let plain = "{\n  \"a\": 1.50,\n  \"SECTION\": {\n    \"x\": {\n      \"command\": \"y\",\n      \"args\": []\n    }\n  },\n  \"z\": [1,\n2]\n}";
    let with_comments = "// mine\n{\n\t\"SECTION\": {\n\t\t// first\n\t\t\"x\": {\"command\": \"y\"} /* why */\n\t\t// last\n\t},\n\t// \"fastvm\": {}\n\t\"u\": \"\\u00e9 \u{e9}\"\n}\n// end\n";
    let with_commas = "{\n    \"SECTION\": {\n        \"x\": {\"url\": \"https://x.example\",}, // why\n    },\n}\n";
    for Client {
        word,
        path,
        section,
        ..
    } in JSON_CLIENTS
    {
        let mut configs = vec![
            plain.to_owned(),
            format!("{plain}\n"),
            format!("{plain}\n").replace('\n', "\r\n"),
            format!("\u{feff}{plain}\n"),
            "{\n  \"SECTION\": {}\n}\n".to_owned(),
        ];
        if *word != "claude" {
            configs.push(with_comments.to_owned());
        }
        if !["claude", "gemini"].contains(word) {
            configs.push(with_commas.to_owned());
        }
        for config in configs {
            let before = config.replace("SECTION", section);
            gives_back_the_bytes(&home, word, path, &before);
        }
    }
}

#[test]
fn tables_and_comments_of_codex_stay_and_uninstall_gives_back_the_bytes() {
    let home = Home::new();
    for before in [
        "# mine\nmodel = \"x\" # why\n",
        "# c\n[mcp_servers.x]\ncommand = \"y\" # z\nargs = [\n  \"1\", # one\n]\n\n[tui]\na  =  1\n# end\n",
        "[mcp_servers]\nx = { command = \"y\" }\n",
        "mcp_servers = { x = { command = \"y\" } }\nb = 1\n",
        "mcp_servers.x.command = \"y\"\nb = 1\n",
        "[tui]\r\na = 1\r\n\r\n[mcp_servers.x]\r\ncommand = \"y\"\r\n",
        "\u{feff}a = 1\n",
    ] {
        gives_back_the_bytes(&home, "codex", CODEX, before);
    }
}

fn gives_back_the_bytes(home: &Home, word: &str, path: &str, before: &str) {
    let path = put(home, path, before);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let ran = install(home, word);
    assert_eq!(ran.code, 0, "{ran}");
    let after = read(&path);
    // An empty section is filled, and one on a single line grows.
    let is_whole = |line: &&str| !line.contains("{}") && !line.starts_with("mcp_servers =");
    let without_commas = after.replace(',', "");
    for line in before.lines().filter(is_whole) {
        let is_there = without_commas.contains(&line.replace(',', ""));
        assert!(is_there, "{word}: {line:?} is not in\n{after}");
    }
    assert_eq!(
        after.contains("\r\n"),
        before.contains("\r\n"),
        "{word}\n{after:?}"
    );
    let breaks = [after.matches("\r\n").count(), after.matches('\n').count()];
    assert!(breaks[0] == 0 || breaks[0] == breaks[1], "{after:?}");
    assert_eq!(
        after.starts_with('\u{feff}'),
        before.starts_with('\u{feff}')
    );
    assert_eq!(after.ends_with('\n'), before.ends_with('\n'));

    // Twice is once.
    let modified = path.metadata().unwrap().modified().unwrap();
    let again = home.run(&["mcp", "install", word, "-o", "json"]);
    assert_eq!(again.json()["changed"], json!(false), "{again}");
    assert_eq!(path.metadata().unwrap().modified().unwrap(), modified);
    assert_eq!(read(&path), after);

    home.ok(&["mcp", "uninstall", word]);
    assert_eq!(read(&path), before, "{word}");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let again = home.run(&["mcp", "uninstall", word, "-o", "json"]);
    assert_eq!(again.json()["changed"], json!(false), "{again}");
    assert_eq!(read(&path), before, "{word}");
}

#[test]
fn what_stands_on_one_line_is_spread_and_loses_nothing() {
    let home = Home::new();
    let path = put(
        &home,
        ".cursor/mcp.json",
        r#"{"mcpServers":{"x":{"command":"y"}},"z":1}"#,
    );
    home.ok(&["mcp", "install", "cursor"]);
    let expected = json!({
        "mcpServers": { "x": { "command": "y" }, "fastvm": { "command": FASTVM, "args": ["mcp"] } },
        "z": 1,
    });
    assert_eq!(parsed(&path), expected);
    home.ok(&["mcp", "uninstall", "cursor"]);
    assert_eq!(
        parsed(&path),
        json!({ "mcpServers": { "x": { "command": "y" } }, "z": 1 })
    );
}

#[test]
fn a_dry_run_shows_the_difference_alone_and_writes_nothing() {
    let home = Home::new();
    let ran = home.run(&["mcp", "install", "gemini", "--dry-run"]);
    assert_data_eq!(
        shown(&home, &ran),
        str![[r#"
--- /dev/null
+++ ~/.gemini/settings.json
@@ -0,0 +1,8 @@
+{
+  "mcpServers": {
+    "fastvm": {
+      "command": "FASTVM",
+      "args": ["mcp"]
+    }
+  }
+}
--- exit 0
"#]]
    );
    assert!(!home.join(".gemini").exists());
    let before = "[mcp_servers.x]\ncommand = \"y\"\nenv = { TOKEN = \"secret\" }\n";
    let path = put(&home, CODEX, before);
    let words = ["mcp", "install", "codex", "--dry-run", "-o", "json"];
    let report = home.run(&words).json();
    assert_eq!(
        (&report["changed"], &report["dryRun"]),
        (&json!(true), &json!(true))
    );
    let diff = report["diff"].as_str().unwrap();
    // What stands around may be a key of another server.
    assert!(diff.contains("+[mcp_servers.fastvm]\n"), "{diff}");
    assert!(!diff.contains("secret"), "{diff}");
    assert_eq!(read(&path), before);
    home.ok(&["mcp", "install", "codex"]);
    let after = read(&path);
    let removal = home.ok(&["mcp", "uninstall", "codex", "--dry-run"]);
    assert!(removal.contains("-[mcp_servers.fastvm]\n"), "{removal}");
    assert_eq!(read(&path), after);
}

#[test]
fn a_broken_config_is_refused_with_its_place_and_stays() {
    let home = Home::new();
    for (word, path, text, why) in [
        (
            "cursor",
            ".cursor/mcp.json",
            "{\n  \"a\": 1\n  \"b\": 2\n}",
            "line 2, column 9: Expected comma",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\"a\": ",
            "line 1, column 7: Expected value after colon in object property",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{'a': 1}",
            "line 1, column 2: Single-quoted strings are not allowed",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{} {}",
            "line 1, column 4: Text cannot contain more than one JSON value",
        ),
        // What Claude Code cannot read it throws away.
        (
            "claude",
            ".claude.json",
            "{\n  // mine\n}",
            "line 2, column 3: Comments are not allowed",
        ),
        (
            "claude",
            ".claude.json",
            "{\"a\": 1,}",
            "line 1, column 8: Trailing commas are not allowed",
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"a\": 1,}",
            "line 1, column 8: Trailing commas are not allowed",
        ),
        (
            "codex",
            CODEX,
            "a = 1\nb = \n",
            "line 2, column 5: string values must be quoted, expected literal string",
        ),
        (
            "codex",
            CODEX,
            "a = 1\na = 2\n",
            "line 2, column 1: duplicate key",
        ),
    ] {
        let file = put(&home, path, text);
        for verb in ["install", "uninstall"] {
            let ran = home.run(&["mcp", verb, word, "--force"]);
            let line = format!("error: cannot read {}: {why}\n", file.display());
            assert!(ran.stderr.starts_with(&line), "{text:?}\n{line}{ran}");
            assert_eq!(ran.code, 2, "{ran}");
            assert_eq!(read(&file), text);
        }
    }
    let bytes = b"{\n \"a\": \"\xff\"}";
    let file = put(&home, ".cursor/mcp.json", bytes);
    let ran = install(&home, "cursor");
    assert!(ran.stderr.contains("line 2, column 8: not UTF-8"), "{ran}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let deep = put(&home, ".cursor/mcp.json", "[".repeat(1 << 20));
    let ran = install(&home, "cursor");
    assert!(ran.stderr.contains("Maximum nesting depth"), "{ran}");
    assert_eq!(deep.metadata().unwrap().len(), 1 << 20);
}

#[test]
fn a_config_without_a_place_for_servers_is_refused_and_stays() {
    let home = Home::new();
    for (word, path, text, why) in [
        (
            "cursor",
            ".cursor/mcp.json",
            "[]",
            "it is not a JSON object",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "null\n",
            "it is not a JSON object",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\"mcpServers\": null}",
            "`mcpServers` is not an object",
        ),
        (
            "vscode",
            ".config/Code/User/mcp.json",
            "{\"servers\": []}",
            "`servers` is not an object",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\"mcpServers\": {}, \"mcpServers\": {\"x\": {}}}",
            "`mcpServers` stands in it twice",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\"mcpServers\": {\"fastvm\": {}, \"f\\u0061stvm\": {}}}",
            "`fastvm` stands in it twice",
        ),
        (
            "codex",
            CODEX,
            "mcp_servers = 1\n",
            "`mcp_servers` is not a table",
        ),
        (
            "codex",
            CODEX,
            "[[mcp_servers]]\na = 1\n",
            "`mcp_servers` is not a table",
        ),
    ] {
        let file = put(&home, path, text);
        for verb in ["install", "uninstall"] {
            let ran = home.run(&["mcp", verb, word]);
            let line = format!("error: cannot change {}: {why}\n", file.display());
            assert!(ran.stderr.starts_with(&line), "{text:?}\n{ran}");
            assert_eq!(ran.code, 2, "{ran}");
            assert_eq!(read(&file), text);
        }
    }
}

#[test]
fn an_empty_config_is_filled() {
    let home = Home::new();
    for text in ["", "\n", "  \r\n"] {
        let file = put(&home, ".cursor/mcp.json", text);
        home.ok(&["mcp", "install", "cursor"]);
        assert_eq!(
            parsed(&file)["mcpServers"]["fastvm"]["command"],
            json!(FASTVM)
        );
        assert!(read(&file).starts_with("{\n"), "{text:?}");
    }
    let file = put(&home, ".cursor/mcp.json", "");
    home.ok(&["mcp", "uninstall", "cursor"]);
    assert_eq!(read(&file), "");
}

#[test]
fn an_entry_that_runs_fastvm_is_brought_up_to_date_and_keeps_the_rest() {
    let home = Home::new();
    let before = "{\n  \"mcpServers\": {\n    \"fastvm\": {\n      // mine\n      \"command\": \"/old/bin/fastvm\",\n      \"args\": [\"mcp\"],\n      \"env\": {\"FASTVM_CONTEXT\": \"work\"}\n    }\n  }\n}\n";
    let file = put(&home, ".cursor/mcp.json", before);
    home.ok(&["mcp", "install", "cursor", "--read-only"]);
    let after = before
        .replace("/old/bin/fastvm", FASTVM)
        .replace("[\"mcp\"]", "[\"mcp\", \"--read-only\"]");
    assert_eq!(read(&file), after);
    let before = "[mcp_servers.fastvm]\ncommand = \"fastvm\" # mine\nargs = [\"--local\", \"mcp\"]\nstartup_timeout_sec = 20\n";
    let file = put(&home, CODEX, before);
    home.ok(&["--local", "mcp", "install", "codex"]);
    let after = read(&file);
    assert!(
        after.contains(&format!("command = \"{FASTVM}\"")),
        "{after}"
    );
    assert!(
        after.ends_with("args = [\"--local\", \"mcp\"]\nstartup_timeout_sec = 20\n"),
        "{after}"
    );
}

#[test]
fn an_entry_that_is_another_program_goes_only_by_force() {
    let home = Home::new();
    for (word, path, text) in [
        (
            "cursor",
            ".cursor/mcp.json",
            "{\n  \"mcpServers\": {\n    \"fastvm\": {\"command\": \"npx\", \"args\": [\"fastvm\", \"mcp\"]}\n  }\n}\n",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\n  \"mcpServers\": {\n    \"fastvm\": {\"url\": \"https://x.example\"}\n  }\n}\n",
        ),
        (
            "cursor",
            ".cursor/mcp.json",
            "{\n  \"mcpServers\": {\n    \"fastvm\": null\n  }\n}\n",
        ),
        (
            "codex",
            CODEX,
            "[mcp_servers.fastvm]\nurl = \"https://x.example\"\n",
        ),
        ("codex", CODEX, "[mcp_servers]\nfastvm = 1\n"),
    ] {
        let file = put(&home, path, text);
        for verb in ["install", "uninstall"] {
            fs::write(&file, text).unwrap();
            let ran = home.run(&["mcp", verb, word]);
            let line = format!(
                "error: the server fastvm in {} does not run `fastvm mcp`\n",
                file.display()
            );
            assert!(ran.stderr.starts_with(&line), "{text}\n{ran}");
            assert!(ran.stderr.contains("--force"), "{ran}");
            assert_eq!((ran.code, read(&file)), (2, text.to_owned()));
            home.ok(&["mcp", verb, word, "--force"]);
            let (after, is_there) = (read(&file), verb == "install");
            assert_eq!(after.contains("\"mcp\""), is_there, "{after}");
            assert!(
                !after.contains("x.example") && !after.contains("npx"),
                "{after}"
            );
        }
    }
}

#[test]
fn a_link_stays_a_link_and_its_target_is_written() {
    let home = Home::new();
    let target = put(&home, "dotfiles/mcp.json", "{\n  \"mcpServers\": {}\n}\n");
    fs::create_dir(home.join(".cursor")).unwrap();
    let link = home.join(".cursor/mcp.json");
    symlink("../dotfiles/mcp.json", &link).unwrap();
    home.ok(&["mcp", "install", "cursor"]);
    assert!(link.is_symlink() && !target.is_symlink());
    assert!(read(&target).contains(FASTVM));
    // One that leads nowhere yet makes its target.
    fs::remove_file(&target).unwrap();
    home.ok(&["mcp", "install", "cursor"]);
    assert!(link.is_symlink());
    assert!(read(&target).contains(FASTVM));
    let left: Vec<_> = fs::read_dir(target.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_nothing_is_left() {
    let home = Home::new();
    fs::write(home.join(".cursor"), "a file").unwrap();
    let ran = install(&home, "cursor");
    assert!(ran.stderr.starts_with("error: cannot read "), "{ran}");
    assert_eq!(ran.code, 1);
    let file = put(&home, ".gemini/settings.json", "{}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let ran = install(&home, "gemini");
    let line = format!("error: cannot write {}: it is read-only\n", file.display());
    assert!(ran.stderr.starts_with(&line), "{ran}");
    assert_eq!((ran.code, read(&file)), (1, "{}".to_owned()));
    let folder = home.join(".config/zed/settings.json");
    fs::create_dir_all(&folder).unwrap();
    let ran = install(&home, "zed");
    assert!(ran.stderr.contains("it is not a file"), "{ran}");
}

#[test]
fn a_folder_of_another_user_is_told_and_nothing_is_left() {
    let is_root = rustix::process::geteuid().is_root();
    let home = Home::new();
    let file = put(&home, ".gemini/settings.json", "{}");
    let folder = file.parent().unwrap();
    let mut command = home.command(&["mcp", "install", "gemini"]);
    if is_root {
        if !Path::new("/usr/bin/setpriv").exists() {
            return skip("this machine has no setpriv");
        }
        if !others_reach(Path::new(FASTVM)) {
            return skip("another user cannot start the program under test");
        }
        command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", FASTVM])
            .args(["mcp", "install", "gemini"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .stdin(Stdio::null());
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    let ran = Ran::of(&command.output().unwrap());
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!(
        "error: cannot write {}: Permission denied\n",
        file.display()
    );
    assert!(ran.stderr.starts_with(&line), "{ran}");
    assert_eq!((ran.code, read(&file)), (1, "{}".to_owned()));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

/// Returns whether everybody may enter all folders above.
fn others_reach(path: &Path) -> bool {
    let mut above = path.ancestors().skip(1);
    above.all(|folder| folder.metadata().unwrap().permissions().mode() & 0o001 != 0)
}

#[test]
fn the_options_that_say_which_api_are_written_and_keys_are_not() {
    let home = Home::new();
    home.ok(&[
        "context",
        "create",
        "work",
        "--base-url",
        "https://work.example",
    ]);
    fs::write(home.join("key"), "fv_secret_key_0123456789\n").unwrap();
    fs::set_permissions(home.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let args = |words: &[&str]| {
        let all = [&["-o", "json"], words].concat();
        let ran = home.run(&all);
        assert_eq!(ran.code, 0, "{ran}");
        ran.json()["server"]["args"].clone()
    };
    let install = ["mcp", "install", "cursor"];
    let with = |before: &[&str], after: &[&str]| args(&[before, &install, after].concat());
    assert_eq!(with(&["--local"], &[]), json!(["--local", "mcp"]));
    assert_eq!(
        with(&["--context", "work"], &[]),
        json!(["--context", "work", "mcp"])
    );
    let key = home.join("key");
    assert_eq!(
        with(
            &["--base-url", "https://x.example", "--api-key-file", "key"],
            &[]
        ),
        json!([
            "--base-url",
            "https://x.example",
            "--api-key-file",
            key,
            "mcp"
        ])
    );
    let folder = "s \"x\" \\ \t\u{e9}\u{1f600}";
    fs::create_dir(home.join(folder)).unwrap();
    let expected = json!(["mcp", "--allow-dir", home.join(folder), "--read-only"]);
    let more = ["--allow-dir", folder, "--", "--read-only"];
    assert_eq!(with(&[], &more), expected);
    let entry = parsed(&home.join(".cursor/mcp.json"))["mcpServers"]["fastvm"].clone();
    assert_eq!(entry["args"], expected);
    let of_codex = args(&[&["mcp", "install", "codex"], &more[..]].concat());
    assert_eq!(of_codex, expected);
    let toml: toml_edit::DocumentMut = read(&home.join(CODEX)).parse().unwrap();
    let written = toml["mcp_servers"]["fastvm"]["args"].as_array().unwrap();
    assert_eq!(written.get(2).unwrap().as_str(), expected[2].as_str());
    let written = read(&home.join(".cursor/mcp.json"));
    assert!(!written.contains("fv_secret"), "{written}");
    for (words, why) in [
        (
            &[
                "--api-key",
                "fv_secret_key_0123456789",
                "mcp",
                "install",
                "cursor",
            ][..],
            "--api-key is not written",
        ),
        (
            &["--api-key-file", "-", "mcp", "install", "cursor"],
            "--api-key-file - cannot be used here",
        ),
        (
            &["--context", "nope", "mcp", "install", "cursor"],
            "there is no context named",
        ),
        (
            &["mcp", "install", "cursor", "--allow-dir", "nope"],
            "cannot find nope",
        ),
        (
            &["mcp", "install", "cursor", "--allow-dir", "key"],
            "--allow-dir key: it is not a folder",
        ),
        (
            &["mcp", "install", "cursor", "--", "--nope"],
            "the server does not take `--nope`: unexpected argument",
        ),
        (
            &["mcp", "install", "cursor", "--", "--api-key", "fv_secret"],
            "--api-key is not written",
        ),
        (
            &["mcp", "install", "cursor", "--", "-o", "json"],
            "the server does not take `-o json`: -o json has no effect",
        ),
        (
            &["mcp", "install", "cursor", "--", "install", "codex"],
            "the server does not take `install codex`",
        ),
        (
            &["mcp", "install", "emacs"],
            "invalid value 'emacs' for '<CLIENT>'\n  [possible values: claude, claude-desktop, cursor, vscode, codex, zed, gemini]",
        ),
    ] {
        let ran = home.run(words);
        assert!(ran.stderr.contains(why), "{words:?}\n{ran}");
        assert!([2, 3].contains(&ran.code), "{ran}");
    }
    assert_eq!(read(&home.join(".cursor/mcp.json")), written);
}

#[test]
fn a_variable_that_the_client_will_not_know_is_told() {
    let home = Home::new().set("FASTVM_CONTEXT", "local");
    let ran = install(&home, "cursor");
    assert_data_eq!(
        shown(&home, &ran),
        str![[r#"
--- stderr
warning: FASTVM_CONTEXT is set here and not written: the client may start the server without it
warning: FASTVM_LOCAL_DIR is set here and not written: the client may start the server without it
configured the server fastvm of Cursor in ~/.cursor/mcp.json
--- exit 0
"#]]
    );
    let server = Home::with_server("http://127.0.0.1:1");
    let ran = install(&server, "cursor");
    assert!(
        ran.stderr.contains("warning: FASTVM_BASE_URL is set"),
        "{ran}"
    );
    assert!(
        ran.stderr.contains("warning: FASTVM_API_KEY is set"),
        "{ran}"
    );
    let ran = server.run(&["--local", "mcp", "install", "cursor", "--dry-run"]);
    assert!(!ran.stderr.contains("FASTVM_API_KEY is set"), "{ran}");
}

/// An upgrade by a package manager moves the program, and the link to it stays.
#[test]
fn the_program_is_written_as_the_path_finds_it() {
    let home = Home::new();
    fs::create_dir(home.join("bin")).unwrap();
    let link = home.join("bin/fastvm");
    symlink(FASTVM, &link).unwrap();
    let mut command = home.command(&["mcp", "install", "cursor", "-o", "json"]);
    let path = format!("relative:{}:/usr/bin", home.join("bin").display());
    let ran = Ran::of(&command.env("PATH", path).output().unwrap());
    assert_eq!(ran.json()["server"]["command"], json!(link), "{ran}");
    // Another program of the same name is not this one.
    fs::remove_file(&link).unwrap();
    fs::write(&link, "#!/bin/sh\n").unwrap();
    let mut command = home.command(&["mcp", "install", "cursor", "-o", "json"]);
    let ran = Ran::of(&command.env("PATH", home.join("bin")).output().unwrap());
    assert_eq!(ran.json()["server"]["command"], json!(FASTVM), "{ran}");
}

#[test]
fn folders_of_clients_may_be_elsewhere() {
    let home = Home::new();
    for (word, variable, path) in [
        ("claude", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("gemini", "GEMINI_CLI_HOME", ".gemini/settings.json"),
        ("vscode", "XDG_CONFIG_HOME", "Code/User/mcp.json"),
        (
            "claude-desktop",
            "XDG_CONFIG_HOME",
            "Claude/claude_desktop_config.json",
        ),
        ("zed", "XDG_CONFIG_HOME", "zed/settings.json"),
    ] {
        let folder = home.join(&format!("of-{word}"));
        let mut command = home.command(&["mcp", "install", word]);
        let ran = Ran::of(&command.env(variable, &folder).output().unwrap());
        assert_eq!(ran.code, 0, "{ran}");
        assert!(folder.join(path).exists(), "{word}");
    }
    let folder = home.join("of-skills");
    let mut command = home.command(&["skills", "install"]);
    let ran = Ran::of(&command.env("CLAUDE_CONFIG_DIR", &folder).output().unwrap());
    assert_eq!(ran.code, 0, "{ran}");
    assert!(folder.join("skills/fastvm/SKILL.md").exists());
}

#[test]
fn a_skill_is_written_once_and_one_that_was_edited_stays() {
    let home = Home::new();
    let file = home.join(".claude/skills/fastvm/SKILL.md");
    let shown_skill = format!("{}\n", home.ok(&["skills", "show"]));
    let ran = home.run(&["skills", "install", "--dry-run"]);
    assert!(
        ran.stdout.contains("+name: fastvm\n") && !file.exists(),
        "{ran}"
    );
    let report = home.run(&["skills", "install", "-o", "json"]).json();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        report,
        json!({ "path": file, "version": version, "changed": true, "dryRun": false })
    );
    assert_eq!(read(&file), shown_skill);
    let ran = home.run(&["skills", "install"]);
    assert_data_eq!(
        shown(&home, &ran),
        str![[r#"
--- stderr
~/.claude/skills/fastvm/SKILL.md is up to date
--- exit 0
"#]]
    );
    let edited = format!("{shown_skill}mine\n");
    fs::write(&file, &edited).unwrap();
    let ran = home.run(&["skills", "install"]);
    assert_data_eq!(
        shown(&home, &ran),
        str![[r#"
--- stderr
error: ~/.claude/skills/fastvm/SKILL.md was edited, or is not of fastvm
hint: look at the difference with --force --dry-run, and overwrite it with --force
--- exit 2
"#]]
    );
    assert_eq!(read(&file), edited);
    let ran = home.run(&["skills", "install", "--force", "--dry-run"]);
    assert!(ran.stdout.contains("-mine\n"), "{ran}");
    assert_eq!(read(&file), edited);
    home.ok(&["skills", "install", "--force"]);
    assert_eq!(read(&file), shown_skill);
    home.ok(&["skills", "install", "--dir", "here"]);
    assert_eq!(read(&home.join("here/fastvm/SKILL.md")), shown_skill);
}

/// Whoever follows the text gets what it says: each line of it runs, in a folder that has nothing.
#[test]
fn every_line_of_the_text_for_agents_runs() {
    let text = include_str!("../src/commands/skills/skill.md");
    let mut script = String::new();
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        match line {
            "```sh" => is_code = true,
            "```" => is_code = false,
            line => {
                let part = if is_code { &mut script } else { &mut prose };
                part.push_str(line);
                part.push('\n');
            }
        }
    }
    assert!(
        !prose.contains("`fastvm "),
        "a command outside of the blocks does not run here"
    );
    let home = Home::new();
    let program = Path::new(FASTVM).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-euxc", &script])
        .env_clear()
        .env("PATH", format!("{program}:{path}"))
        .env("HOME", home.path())
        .env("FASTVM_LOCAL_DIR", home.join("local"))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = Ran::of(&output);
    assert_eq!(ran.code, 0, "{ran}");
    for said in [
        "\"stdout\": \"42\\n\"",
        "\"stdout\": \"done\\n\"",
        "\"exitCode\": 0",
    ] {
        assert!(ran.stdout.contains(said), "{said}\n{ran}");
    }
    assert!(
        ran.stderr.contains(r#"{"error":{"code":"not_found""#),
        "{ran}"
    );
    assert_eq!(home.ok(&["--local", "ls", "-o", "name"]), "");
}
