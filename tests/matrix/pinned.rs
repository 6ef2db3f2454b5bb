//! The table of the docs and the tests must not drift apart.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("fn ").skip(1);
            names.extend(after.filter_map(|rest| Some(rest.split_once("()")?.0.to_owned())));
        }
    }
}

#[test]
fn every_fault_is_in_the_docs_and_every_test_named_there_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for folder in ["src", "crates", "tests"] {
        functions(&root.join(folder), &mut names);
    }
    let docs = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    for number in 1..=60 {
        let id = format!("| T{number:02} |");
        let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with(&id)).collect();
        assert_eq!(rows.len(), 1, "{id}");
        let told = rows[0].split('|').nth(4).unwrap();
        let tests: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{id}");
        for test in tests {
            assert!(
                names.contains(test),
                "{id} names `{test}`, which is no test"
            );
        }
    }
}
