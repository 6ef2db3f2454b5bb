//! `config`, `context`, `login` and `logout`: the real program in a home of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use snapbox::{assert_data_eq, str};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::scripted::json;
use crate::common::{Home, Ran, Scripted};

/// What the user sees, with `~` for the home.
fn said(home: &Home, words: &[&str]) -> String {
    shown(home, &home.run(words))
}

/// The same, with something on standard input.
fn answered(home: &Home, words: &[&str], input: &str) -> String {
    let mut command = home.command(words);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // a program that does not want the input may be gone
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    shown(home, &Ran::of(&child.wait_with_output().unwrap()))
}

fn shown(home: &Home, ran: &Ran) -> String {
    ran.to_string()
        .replace(&home.path().display().to_string(), "~")
}

fn file(home: &Home, name: &str) -> PathBuf {
    home.join(".config/fastvm").join(name)
}

/// Puts a file there as a user would.
fn write(home: &Home, name: &str, text: &str, mode: u32) {
    fs::create_dir_all(file(home, "")).unwrap();
    fs::write(file(home, name), text).unwrap();
    fs::set_permissions(file(home, name), fs::Permissions::from_mode(mode)).unwrap();
}

/// An API that knows one key.
async fn api(key: &str) -> MockServer {
    let server = MockServer::start().await;
    let quotas = serde_json::json!({
        "orgId": "o",
        "limits": {"vcpu": 1, "memoryMiB": 1, "diskGiB": 1, "snapshotCount": 1},
        "usage": {"vcpu": 0, "memoryMiB": 0, "diskGiB": 0, "snapshotCount": 0},
    });
    Mock::given(method("GET"))
        .and(path("/v1/org/quotas"))
        .and(header("x-api-key", key))
        .respond_with(ResponseTemplate::new(200).set_body_json(quotas))
        .with_priority(1)
        .mount(&server)
        .await;
    let refused =
        ResponseTemplate::new(401).set_body_json(serde_json::json!({"error": "unknown key"}));
    Mock::given(method("GET"))
        .respond_with(refused)
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

#[test]
fn the_official_commands_work_on_the_shared_file() {
    let home = Home::new();
    assert_data_eq!(
        said(&home, &["config", "get"]),
        str![[r#"
--- stderr
nothing is set
hint: fastvm login
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get", "api_key"]),
        str![[r#"
(not set)
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "set", "api_key", "fv_0123456789abcdef"]),
        str![[r#"
--- stderr
warning: a key on the command line shows in `ps` and in the history of the shell: leave it out to be asked for it
api_key set in ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "set", "base_url", "http://127.0.0.1:9/"]),
        str![[r#"
--- stderr
warning: the stored key …cdef will be sent to http://127.0.0.1:9 from now on
base_url set in ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get"]),
        str![[r#"
api_key = …cdef
base_url = http://127.0.0.1:9
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get", "api_key"]),
        str![[r#"
fv_0123456789abcdef
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["--json", "config", "get"]),
        str![[r#"
{
  "api_key": "…cdef",
  "base_url": "http://127.0.0.1:9"
}
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "path"]),
        str![[r#"
~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        fs::read_to_string(file(&home, "config.toml")).unwrap(),
        str![[r#"
api_key = "fv_0123456789abcdef"
base_url = "http://127.0.0.1:9"

"#]]
    );
}

#[test]
fn a_key_is_read_from_standard_input() {
    let home = Home::new();
    assert_data_eq!(
        answered(
            &home,
            &["config", "set", "api_key"],
            "fv_0123456789abcdef\n"
        ),
        str![[r#"
--- stderr
api_key set in ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        answered(&home, &["config", "set", "api_key", "-"], "fv_two words\n"),
        str![[r#"
--- stderr
error: the API key from standard input has a space in it
--- exit 4
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get", "api_key"]),
        str![[r#"
fv_0123456789abcdef
--- exit 0
"#]]
    );
}

#[test]
fn values_that_cannot_be_are_refused() {
    let home = Home::new();
    assert_data_eq!(
        said(&home, &["config", "set", "api_key", "fv_two\nlines"]),
        str![[r#"
--- stderr
error: the API key from the command line has a line break in it
--- exit 4
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "set", "base_url", "api.fastvm.org"]),
        str![[r#"
--- stderr
error: the base URL from the command line: it needs a scheme: try https://api.fastvm.org
--- exit 2
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "set", "base_url", "http://10.0.0.1"]),
        str![[r#"
--- stderr
error: the base URL from the command line: http://10.0.0.1 is plain HTTP to another machine, and would send the key unencrypted
hint: use https://, or allow it with --allow-http
--- exit 2
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "set", "colour", "red"]),
        str![[r#"
--- stderr
error: invalid value 'colour' for '<KEY>'
  [possible values: api_key, base_url]

For more information, try '--help'.
--- exit 2
"#]]
    );
    assert!(!file(&home, "config.toml").exists());
}

#[test]
fn a_broken_file_is_named_and_the_commands_that_mend_it_run() {
    let home = Home::new();
    write(
        &home,
        "config.toml",
        "base_url = \"https://h\"\napi_key = \"a\n",
        0o600,
    );
    assert_data_eq!(
        said(&home, &["context", "show"]),
        str![[r#"
--- stderr
error: cannot read ~/.config/fastvm/config.toml: line 2, column 13: invalid basic string, expected `"`
hint: correct it, or move it away: mv ~/.config/fastvm/config.toml ~/.config/fastvm/config.toml.broken
--- exit 2
"#]]
    );
    assert_data_eq!(
        answered(&home, &["config", "set", "api_key"], "fv_0123456789abcdef"),
        str![[r#"
--- stderr
warning: the old file could not be read; it is kept as ~/.config/fastvm/config.toml.broken
api_key set in ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get"]),
        str![[r#"
api_key = …cdef
--- exit 0
"#]]
    );
    write(&home, "contexts.toml", "current = prod\n", 0o600);
    assert_data_eq!(
        said(&home, &["context", "show"]),
        str![[r#"
--- stderr
error: cannot read ~/.config/fastvm/contexts.toml: line 1, column 11: string values must be quoted, expected literal string
hint: correct it, or move it away: mv ~/.config/fastvm/contexts.toml ~/.config/fastvm/contexts.toml.broken
--- exit 2
"#]]
    );
    assert_data_eq!(
        said(&home, &["--local", "context", "show", "-o", "csv"]),
        str![[r#"
setting,value,from
context,local,--local
data,~/local,FASTVM_LOCAL_DIR
egress,proxy,the default
quotas,default,the default
output,csv,--output
color,false,the default
progress,auto,the default
log,off,the default
timeout,60s,the default
connect_timeout,10s,the default
retries,2,the default
no_input,false,the default
custom_headers,none,the default
--- stderr
warning: cannot read ~/.config/fastvm/contexts.toml: line 1, column 11: string values must be quoted, expected literal string
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["config", "get"]),
        str![[r#"
api_key = …cdef
--- exit 0
"#]]
    );
}

#[test]
fn a_key_that_the_official_cli_left_open_is_used_with_one_warning() {
    let server = Scripted::new(&[&json("200 OK", "[]")]);
    let home = Home::new();
    let key = "fv_0123456789abcdef";
    let entries = format!("api_key = \"{key}\"\nbase_url = \"{}\"\n", server.url());
    write(&home, "config.toml", &entries, 0o644);
    assert_data_eq!(
        said(&home, &["ls", "-o", "id"]),
        str![[r#"
--- stderr
warning: ~/.config/fastvm/config.toml holds an API key and others can read it: chmod 600 ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert!(server.requests()[0].contains(key));
    assert_data_eq!(
        said(&home, &["config", "get", "api_key"]),
        str![[r#"
fv_0123456789abcdef
--- stderr
warning: ~/.config/fastvm/config.toml holds an API key and others can read it: chmod 600 ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    // What we write is closed.
    home.ok(&["config", "set", "base_url", server.url()]);
    assert_eq!(home.run(&["config", "get", "api_key"]).stderr, "");
}

#[test]
fn a_key_file_that_others_can_read_is_used_with_one_warning() {
    let server = Scripted::new(&[
        &json("200 OK", "[]"),
        &json("200 OK", "[]"),
        &json("200 OK", "[]"),
    ]);
    let home = Home::with_server(server.url());
    let file = home.join("key");
    fs::write(&file, "fv_0123456789abcdef\n").unwrap();
    let warning = "warning: key holds an API key and others can read it: chmod 600 key\n";
    for (mode, said) in [(0o644, warning), (0o640, warning), (0o600, "")] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ran = home.run(&["ls", "-o", "id", "--api-key-file", "key"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, said), "{ran}");
    }
}

#[test]
fn a_key_for_one_host_is_not_sent_to_another() {
    let home = Home::new();
    write(
        &home,
        "config.toml",
        "api_key = \"fv_0123456789abcdef\"\n",
        0o600,
    );
    assert_data_eq!(
        said(&home, &["quota", "--base-url", "https://elsewhere.example"]),
        str![[r#"
--- stderr
error: the API key from ~/.config/fastvm/config.toml is for https://api.fastvm.org and is not sent to https://elsewhere.example
hint: give the key for that host in FASTVM_API_KEY
--- exit 4
"#]]
    );
}

#[test]
fn without_a_key_the_ways_to_give_one_are_named() {
    assert_data_eq!(
        said(&Home::new(), &["quota"]),
        str![[r#"
--- stderr
error: no API key for the context default
hint: run `fastvm login`, set FASTVM_API_KEY, or use this machine with --local
--- exit 4
"#]]
    );
    assert_data_eq!(
        said(&Home::new(), &["quota", "--context", "eu"]),
        str![[r#"
--- stderr
error: there is no context named "eu"
hint: the contexts are default, local; create another with `fastvm context create eu --base-url URL`
--- exit 3
"#]]
    );
}

#[test]
fn contexts_are_made_used_shown_and_removed() {
    let home = Home::new();
    let eu = [
        "context",
        "create",
        "eu",
        "--base-url",
        "https://eu.example",
        "--default-output",
        "json",
    ];
    assert_data_eq!(
        said(&home, &eu),
        str![[r#"
--- stderr
created the context eu for https://eu.example
hint: fastvm login --context eu
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &eu),
        str![[r#"
--- stderr
error: the context eu already exists
hint: remove it first with `fastvm context delete eu`
--- exit 2
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "use", "eu"]),
        str![[r#"
--- stderr
the current context is eu
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "ls", "-o", "wide"]),
        str![[r#"
CURRENT  NAME     URL                     KEY  OUTPUT
-        default  https://api.fastvm.org  -    -
-        local    this machine            -    -
*        eu       https://eu.example      -    json
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "ls"]),
        str![[r#"
[
  {
    "name": "default",
    "current": false,
    "baseUrl": "https://api.fastvm.org",
    "key": null,
    "output": null
  },
  {
    "name": "local",
    "current": false,
    "baseUrl": null,
    "key": null,
    "output": null
  },
  {
    "name": "eu",
    "current": true,
    "baseUrl": "https://eu.example",
    "key": null,
    "output": "json"
  }
]
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "get", "-o", "table"]),
        str![[r#"
SETTING          VALUE               FROM
context          eu                  ~/.config/fastvm/contexts.toml
base_url         https://eu.example  context eu
api_key          none                -
output           table               --output
color            false               the default
progress         auto                the default
log              off                 the default
timeout          60s                 the default
connect_timeout  10s                 the default
retries          2                   the default
no_input         false               the default
custom_headers   none                the default
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "rm", "local"]),
        str![[r#"
--- stderr
error: the context local is built in and cannot be deleted
{"error":{"code":"usage","message":"the context local is built in and cannot be deleted","hint":null,"status":null,"requestId":null,"target":null,"retryable":false,"exitCode":2}}
--- exit 2
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "rm", "eu", "--yes"]),
        str![[r#"
--- stderr
removed the context eu
the current context is default
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["context", "use", "eu"]),
        str![[r#"
--- stderr
error: there is no context named "eu"
hint: the contexts are default, local; create another with `fastvm context create eu --base-url URL`
--- exit 3
"#]]
    );
}

#[test]
fn variables_that_make_a_context_void_are_named() {
    let home = Home::new()
        .set("FASTVM_CONTEXT", "local")
        .set("FASTVM_API_KEY", "fv_0123456789abcdef");
    assert_data_eq!(
        said(&home, &["context", "use", "default"]),
        str![[r#"
--- stderr
the current context is default
warning: FASTVM_CONTEXT is set to local and is used instead
warning: FASTVM_API_KEY is set and is used instead of what the context says
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["--context", "default", "context", "show"]),
        str![[r#"
SETTING          VALUE                   FROM
context          default                 --context
base_url         https://api.fastvm.org  the default
api_key          none                    -
output           table                   the default
color            false                   the default
progress         auto                    the default
log              off                     the default
timeout          60s                     the default
connect_timeout  10s                     the default
retries          2                       the default
no_input         false                   the default
custom_headers   none                    the default
--- stderr
warning: --context default sets FASTVM_API_KEY aside
--- exit 0
"#]]
    );
}

#[tokio::test]
async fn a_login_stores_a_key_that_the_server_knows() {
    let server = api("fv_0123456789abcdef").await;
    let home = Home::new();
    let url = ["--base-url", &server.uri()].map(str::to_owned);
    let login = |words: &[&str], key: &str| {
        let words: Vec<&str> = words
            .iter()
            .copied()
            .chain(url.iter().map(String::as_str))
            .collect();
        answered(&home, &words, key).replace(&server.uri(), "SERVER")
    };
    assert_data_eq!(
        login(&["login"], "fv_ffffffffffffffff\n"),
        str![[r#"
--- stderr
error: nothing was stored, as the key could not be checked: the API does not accept the key from your input, …ffff (401): unknown key
hint: check that the key is whole, valid, and for this API
--- exit 4
"#]]
    );
    assert!(!file(&home, "config.toml").exists());
    assert_data_eq!(
        login(&["login"], "fv_0123456789abcdef\n"),
        str![[r#"
--- stderr
stored the key …cdef for the context default in ~/.config/fastvm/config.toml
--- exit 0
"#]]
    );
    assert_data_eq!(
        login(&["login", "--context", "eu"], "fv_0123456789abcdef\n"),
        str![[r#"
--- stderr
stored the key …cdef for the context eu in ~/.config/fastvm/credentials.toml
--- exit 0
"#]]
    );
    let stored = ["config.toml", "contexts.toml", "credentials.toml"]
        .map(|name| fs::read_to_string(file(&home, name)).unwrap());
    assert_data_eq!(
        stored.join("--\n").replace(&server.uri(), "SERVER"),
        str![[r#"
api_key = "fv_0123456789abcdef"
base_url = "SERVER"
--
[contexts.eu]
base_url = "SERVER"
--
[contexts.eu]
api_key = "fv_0123456789abcdef"
base_url = "SERVER"

"#]]
    );
    assert_data_eq!(
        said(&home, &["quota", "-q", ".orgId"]),
        str![[r#"
o
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["quota", "-q", ".orgId", "--context", "eu"]),
        str![[r#"
o
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["logout", "--context", "eu"]),
        str![[r#"
--- stderr
removed the key of the context eu
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["logout", "--context", "eu"]),
        str![[r#"
--- stderr
no key is stored for the context eu
--- exit 0
"#]]
    );
    assert_data_eq!(
        said(&home, &["quota", "--context", "eu"]),
        str![[r#"
--- stderr
error: no API key for the context eu
hint: run `fastvm login --context eu`
--- exit 4
"#]]
    );
    assert_data_eq!(
        said(&home, &["logout"]),
        str![[r#"
--- stderr
removed the key of the context default
--- exit 0
"#]]
    );
}

#[tokio::test]
async fn a_program_is_asked_for_the_key() {
    let server = api("fv_0123456789abcdef").await;
    let home = Home::new();
    said(
        &home,
        &[
            "context",
            "create",
            "ci",
            "--use",
            "--base-url",
            &server.uri(),
            "--api-key-command",
            "sh -c 'echo fv_0123456789abcdef; echo user: me'",
        ],
    );
    assert_data_eq!(
        said(&home, &["quota", "-q", ".orgId"]),
        str![[r#"
o
--- exit 0
"#]]
    );
    assert_data_eq!(
        answered(&home, &["login"], "fv_x"),
        str![[r#"
--- stderr
error: the context ci gets its key from the api_key_command in ~/.config/fastvm/contexts.toml
--- exit 2
"#]]
    );
    let text = format!(
        "current = \"ci\"\n[contexts.ci]\nbase_url = \"{}\"\napi_key_command = [\"false\"]\n",
        server.uri(),
    );
    write(&home, "contexts.toml", &text, 0o600);
    assert_data_eq!(
        said(&home, &["quota"]),
        str![[r#"
--- stderr
error: the API key from context ci cannot be read: false failed: exit status: 1
--- exit 4
"#]]
    );
}

#[test]
fn many_writers_at_once_lose_no_change() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..20 {
            let home = &home;
            scope.spawn(move || {
                let name = format!("c{number}");
                said(
                    home,
                    &["context", "create", &name, "--base-url", "https://h"],
                )
            });
        }
    });
    let names = said(&home, &["context", "list", "-o", "name"]);
    assert_eq!(
        names.lines().filter(|line| line.starts_with('c')).count(),
        20,
        "{names}"
    );
}

/// What is asked for at a terminal is not shown there.
#[cfg(target_os = "linux")]
#[test]
fn a_key_that_is_typed_is_not_echoed() {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let home = Home::new();
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let terminal = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut screen = fs::File::from(screen);
    let ours = home.command(&["config", "set", "api_key"]);
    // gives the program a terminal of its own
    let mut command = Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .arg(ours.get_program())
        .args(ours.get_args());
    command.env_clear().envs(
        ours.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut child = command
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal)
        .spawn()
        .unwrap();
    drop(command);
    let mut seen = Vec::new();
    // the question comes when the echo is off
    while !seen.ends_with(b"API key: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    screen.write_all(b"fv_0123456789abcdef\n").unwrap();
    assert!(child.wait().unwrap().success());
    // ends with an error when nobody has the terminal any more
    let _ = screen.read_to_end(&mut seen);
    let seen = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
    let seen = seen.replace(&home.path().display().to_string(), "~");
    assert_data_eq!(
        seen,
        str![[r#"
API key: 
api_key set in ~/.config/fastvm/config.toml

"#]]
    );
    assert_eq!(
        home.ok(&["config", "get", "api_key"]),
        "fv_0123456789abcdef"
    );
}

#[test]
fn every_setting_is_shown_with_the_option_or_variable_that_set_it() {
    let home = Home::new()
        .set("FASTVM_LOG", "off")
        .set("FASTVM_PROGRESS", "plain")
        .set("FASTVM_TIMEOUT", "7s")
        .set("FASTVM_NO_INPUT", "yes")
        .set("FASTVM_CUSTOM_HEADERS", "x-team: secret\nx-trace: on");
    let arguments = [
        "context",
        "show",
        "-o",
        "csv",
        "--color",
        "always",
        "--connect-timeout",
        "3s",
        "--retries",
        "0",
    ];
    let shown = home.ok(&arguments);
    for line in [
        "output,csv,--output",
        "color,true,--color",
        "progress,plain,FASTVM_PROGRESS",
        "log,off,FASTVM_LOG",
        "timeout,7s,FASTVM_TIMEOUT",
        "connect_timeout,3s,--connect-timeout",
        "retries,0,--retries",
        "no_input,true,FASTVM_NO_INPUT",
        "custom_headers,\"x-team, x-trace\",FASTVM_CUSTOM_HEADERS",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn what_contradicts_the_engine_of_this_machine_is_refused_with_what_to_leave_out() {
    let home = Home::new();
    for (words, hint) in [
        (
            &["--local", "--base-url", "https://x.example", "ls"][..],
            "leave out --base-url, or --local",
        ),
        (
            &["--context", "local", "--api-key", "k", "ls"],
            "leave out --api-key, or --context local",
        ),
    ] {
        let ran = home.run(words);
        assert_eq!(ran.code, 2, "{ran}");
        assert!(ran.stderr.contains(&format!("hint: {hint}\n")), "{ran}");
    }
}
