//! The routes of the engine against the contract in `docs/openapi.yaml`.

use super::rig::Rig;

const CONTRACT: &str = include_str!("../../docs/openapi.yaml");

/// The methods that the contract has.
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// Method and path of each operation, read off the indentation of `paths:`.
fn operations() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path = None;
    let lines = CONTRACT
        .lines()
        .skip_while(|line| *line != "paths:")
        .skip(1);
    for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let key = line.trim_start().strip_suffix(':').unwrap_or_default();
        match line.len() - line.trim_start().len() {
            2 if key.starts_with('/') => path = Some(key.to_owned()),
            4 if METHODS.contains(&key) => {
                found.push((key.to_uppercase(), path.clone().unwrap()));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_contract_is_read() {
    let found = operations();
    let count = CONTRACT.matches("operationId:").count();
    assert_eq!(found.len(), count, "{found:?}");
    assert!(found.contains(&("GET".to_owned(), "/healthz".to_owned())));
}

#[tokio::test]
async fn every_operation_of_the_contract_is_routed() {
    let rig = Rig::start();
    let mut missing = Vec::new();
    for (method, path) in operations() {
        let path = path.replace("{id}", "x").replace("{serviceName}", "x");
        let (status, answer) = rig.send(&method, &path, "{}").await;
        let error = answer["error"].as_str().unwrap_or_default();
        if status == 405 || error.starts_with("no such route") {
            missing.push(format!("{method} {path}: {status} {error}"));
        }
        assert!(status < 500, "{method} {path}: {status} {error}");
    }
    assert!(missing.is_empty(), "not routed: {missing:#?}");
}
