//! The routes of the engine against the contract.

use super::rig::Rig;
use crate::contract::description::Contract;

#[tokio::test]
async fn every_operation_of_the_contract_is_routed() {
    let rig = Rig::start();
    let contract = Contract::read();
    assert!(contract.operation("GET", "/healthz").is_some());
    let mut missing = Vec::new();
    for operation in contract.operations() {
        let parts = operation.path.iter();
        let path: String = parts
            .map(|part| if part.starts_with('{') { "/x" } else { part })
            .map(|part| format!("/{}", part.trim_start_matches('/')))
            .collect();
        let (status, answer) = rig.send(&operation.method, &path, "{}").await;
        let error = answer["error"].as_str().unwrap_or_default();
        if status == 405 || error.starts_with("no such route") {
            missing.push(format!("{}: {status} {error}", operation.name));
        }
        assert!(status < 500, "{}: {status} {error}", operation.name);
    }
    assert!(missing.is_empty(), "not routed: {missing:#?}");
}
