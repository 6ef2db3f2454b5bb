//! The table of `docs/ARCHITECTURE.md` that says which rooms use which.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The code of a room without its comments.
fn code_of(room: &Path, code: &mut String) {
    let Ok(entries) = fs::read_dir(room) else {
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

/// The names that follow `prefix` in the code of a room: a folder, a file or both.
fn used_by(room: &str, prefix: &str) -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut code = fs::read_to_string(source.join(format!("{room}.rs"))).unwrap_or_default();
    code_of(&source.join(room), &mut code);
    assert!(!code.is_empty(), "there is no room {room}");
    let name = |rest: &str| {
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    let names = code.split(prefix).skip(1).map(name);
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn each_room_uses_what_the_architecture_says() {
    let text = include_str!("../docs/ARCHITECTURE.md");
    let table = text.split("| room | uses of the rest |\n").nth(1).unwrap();
    let rows: Vec<_> = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 3);
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let room = cells.next().unwrap().trim_matches('`');
        let allowed = cells.next().unwrap();
        let allowed: BTreeSet<String> = allowed
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let mut used = used_by(room, "crate::");
        used.remove(room);
        assert_eq!(used, allowed, "{room}");
    }
}

#[test]
fn the_folders_of_a_transfer_use_those_before_them() {
    let text = include_str!("../docs/ARCHITECTURE.md");
    let list = text
        .split("Inside `transfer` a folder uses")
        .nth(1)
        .unwrap();
    let list = list.split("\n\n").nth(1).unwrap();
    let folders: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    assert!(folders.len() > 3, "{folders:?}");
    for (at, folder) in folders.iter().enumerate() {
        let used = used_by(&format!("transfer/{folder}"), "crate::transfer::");
        let later = folders[at + 1..]
            .iter()
            .find(|later| used.contains(**later));
        assert_eq!(later, None, "{folder}");
    }
}
