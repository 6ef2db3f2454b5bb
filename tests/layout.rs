//! What `docs/ARCHITECTURE.md` says of crates and folders: which uses which.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const ARCHITECTURE: &str = include_str!("../docs/ARCHITECTURE.md");

/// The code of a folder without its comments.
fn code_of(folder: &Path, code: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code_of(&path, code);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().filter(|line| !line.trim().starts_with("//"));
            code.extend(lines.flat_map(|line| [line, "\n"]));
        }
    }
}

/// The names that follow `crate::` in the code of a folder.
fn used_by(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut code = String::new();
    code_of(&folder, &mut code);
    assert!(!code.is_empty(), "there is no {}", folder.display());
    let name = |rest: &str| {
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    let names = code.split("crate::").skip(1).map(name);
    names.filter(|name| !name.is_empty()).collect()
}

/// The names between backquotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The rows below a heading: what the first cell names, and the names in the second.
fn rows(heading: &str) -> Vec<(String, BTreeSet<String>)> {
    let table = ARCHITECTURE.split(heading).nth(1).unwrap();
    let lines = table.lines().skip(2);
    let rows: Vec<_> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            (name, quoted(cells.next().unwrap()))
        })
        .collect();
    assert!(!rows.is_empty(), "{heading}");
    rows
}

#[test]
fn each_crate_uses_the_crates_that_the_architecture_says() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{metadata:?}");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut found: Vec<_> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let uses = package["dependencies"].as_array().unwrap().iter();
            let uses = uses.filter(|dependency| dependency["kind"].is_null());
            let names = uses.map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            let ours = names.filter(|name| name.starts_with("fastvm"));
            (
                package["name"].as_str().unwrap().to_owned(),
                ours.collect::<BTreeSet<_>>(),
            )
        })
        .collect();
    found.sort();
    let mut said = rows("| crate | uses |");
    said.sort();
    assert_eq!(found, said);
}

#[test]
fn each_folder_uses_what_the_architecture_says() {
    for (folder, allowed) in rows("| folder of `src/` | uses of the rest |") {
        let mut used = used_by(&format!("src/{folder}"));
        used.remove(&folder);
        assert_eq!(used, allowed, "{folder}");
    }
}

#[test]
fn the_folders_of_a_transfer_use_those_before_them() {
    let list = ARCHITECTURE
        .split("Inside `crates/transfer/src` a folder uses")
        .nth(1)
        .unwrap();
    let list = list.split("\n\n").nth(1).unwrap();
    let folders: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    assert!(folders.len() > 3, "{folders:?}");
    for (at, folder) in folders.iter().enumerate() {
        let used = used_by(&format!("crates/transfer/src/{folder}"));
        let later = folders[at + 1..]
            .iter()
            .find(|later| used.contains(**later));
        assert_eq!(later, None, "{folder}");
    }
}
