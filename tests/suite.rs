//! All integration tests in one binary: one link instead of a dozen. One file a noun or verb.

mod common;

mod config;
mod errors;
mod exec;
mod server;
mod streams;

/// A test file that nobody lists would never run.
#[test]
fn every_test_file_is_listed_here() {
    let listed = include_str!("suite.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "suite") else {
            continue;
        };
        assert!(
            listed.contains(&format!("mod {module};")),
            "tests/{name} is not listed in tests/suite.rs"
        );
    }
}
