//! The official CLI and this one, called with the same words against the same engine: exit codes and JSON are equal.

use std::process::Command;

use serde_json::Value;

use crate::common::{Home, Ran, Serving, missing};
use crate::python::python;

/// What is compared: words that both take, as a script would write them.
const JSON: &[&[&str]] = &[
    &["--json", "vm", "ls"],
    &["--json", "vm", "get", "{vm}"],
    &["--json", "vm", "rename", "{vm}", "web"],
    &[
        "--json",
        "vm",
        "launch",
        "--machine",
        "c1m2",
        "--name",
        "dev",
        "--disk-gib",
        "5",
    ],
    &["--json", "vm", "launch", "-m", "c2m4", "-n", "dev"],
    &["--json", "launch", "--no-console"],
    &["--json", "vm", "exec", "{vm}", "echo", "hi"],
    &["--json", "exec", "--timeout", "5", "{vm}", "true"],
    &["--json", "exec", "{vm}", "echo hi", "--timeout", "5"],
    &["--json", "exec", "{vm}", "--timeout", "5", "echo hi"],
    &["--json", "snapshot", "create", "{vm}", "--name", "golden"],
    &["--json", "snapshot", "create", "{vm}", "-n", "golden"],
    &["--json", "snapshot", "ls"],
    &["--json", "snapshot", "rename", "{snapshot}", "old"],
    &["--json", "snapshot", "restore", "{snapshot}", "-n", "dev"],
    &["--json", "firewall", "get", "{vm}"],
    &[
        "--json",
        "firewall",
        "set",
        "{vm}",
        "--mode",
        "restricted",
        "--rule",
        "tcp:80",
        "-r",
        "UDP:5000-5010",
    ],
    &["--json", "firewall", "patch", "{vm}", "--mode", "OPEN"],
    &["--json", "firewall", "patch", "{vm}", "--rule", "tcp:443"],
    &["--json", "quota"],
];

/// Whose words for people differ: here the exit codes are compared.
const TEXT: &[&[&str]] = &[
    &["--version"],
    &["--help"],
    &["vm", "ls"],
    &["vm", "get", "{vm}"],
    &["vm", "rm", "{new vm}", "-y"],
    &["rm", "--yes", "{new vm}"],
    &["vm", "rename", "{vm}", "web"],
    &[
        "launch",
        "-m",
        "c1m2",
        "-n",
        "dev",
        "--disk-gib",
        "5",
        "--no-console",
    ],
    &["snapshot", "rm", "{new snapshot}", "-y"],
    &["snapshot", "ls"],
    &["firewall", "get", "{vm}"],
    &["quota"],
    &["exec", "{vm}", "true"],
    &["run", "true; true", "-n", "late", "-m", "c1m2"],
    &[
        "run",
        "-m",
        "c1m2",
        "-n",
        "x",
        "--timeout",
        "5",
        "echo",
        "hi",
    ],
    &["run", "--", "echo", "hi"],
    &["config", "set", "base_url", "https://api.example"],
    &["config", "get", "base_url"],
    &["config", "get"],
    // failures
    &["vm", "nope"],
    &["firewall", "set", "{vm}", "--mode", "closed"],
    &[
        "firewall", "set", "{vm}", "--mode", "open", "--rule", "icmp:1",
    ],
    &["config", "set", "colour", "red"],
    &["vm", "get", "4f0c2a52-6a0f-4c8e-8a44-0b2b3a8a91d7"],
];

/// What differs because each of the two makes a thing of its own, or takes a time of its own.
const OF_THEIR_OWN: [&str; 5] = ["id", "name", "createdAt", "publicIpv6", "durationMs"];

/// Without these, and without the fields that are null: one prints them, the other leaves them out.
fn comparable(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !OF_THEIR_OWN.contains(&name.as_str()))
            .map(|(name, value)| (name, comparable(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(comparable).collect(),
        other => other,
    }
}

struct Both {
    python: String,
    home: Home,
    vm: String,
    snapshot: String,
}

impl Both {
    fn run(&self, words: &[&str]) -> (Ran, Ran) {
        let ours = self.home.run(&self.filled(words));
        let mut theirs = Command::new(&self.python);
        let known = self.home.command(&[]);
        theirs
            .args(["-m", "fastvm.lib.cli.main"])
            .args(self.filled(words));
        theirs.env_clear().current_dir(self.home.path());
        for (name, value) in known.get_envs() {
            if let Some(value) = value {
                theirs.env(name, value);
            }
        }
        (Ran::of(&theirs.output().unwrap()), ours)
    }

    /// The words with what they name; a thing to delete is a new one for each.
    fn filled<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let made = |arguments: &[&str]| &*String::leak(self.home.ok(arguments));
        let fill = |word: &&'a str| match *word {
            "{vm}" => self.vm.as_str(),
            "{snapshot}" => self.snapshot.as_str(),
            "{new vm}" => made(&["vm", "launch", "-o", "id"]),
            "{new snapshot}" => made(&["snapshot", "create", &self.vm, "-o", "id"]),
            word => word,
        };
        words.iter().map(fill).collect()
    }
}

#[test]
fn scripts_for_the_official_cli_get_the_same_answers() {
    let Some(python) = python() else {
        missing("no Python with fastvm==0.7.0 (see FASTVM_TEST_PYTHON)");
        return;
    };
    let local = Home::new();
    let serving = Serving::start(&local);
    let home = Home::with_server(&serving.url).set("FASTVM_API_KEY", &serving.key);
    let vm = home.ok(&["vm", "launch", "-o", "id"]);
    let snapshot = home.ok(&["snapshot", "create", &vm, "-o", "id"]);
    let both = Both {
        python,
        home,
        vm,
        snapshot,
    };
    let mut differences = Vec::new();
    for words in JSON {
        let (theirs, ours) = both.run(words);
        let read = |ran: &Ran| serde_json::from_str(&ran.stdout).map(comparable).ok();
        let equal = theirs.code == 0 && ours.code == 0 && read(&theirs).is_some();
        if !equal || read(&theirs) != read(&ours) {
            differences.push(format!("{words:?}\ntheirs: {theirs}\nours: {ours}"));
        }
    }
    for words in TEXT {
        let (theirs, ours) = both.run(words);
        if (theirs.code == 0) != (ours.code == 0) {
            differences.push(format!("{words:?}\ntheirs: {theirs}\nours: {ours}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
