//! The contract, `docs/openapi.yaml`, as something that requests and answers can be held against.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Value, json};

const CONTRACT: &str = include_str!("../../docs/openapi.yaml");
const LINES: &str = "application/x-ndjson";

/// All operations of the contract.
pub(crate) struct Contract {
    operations: Vec<Operation>,
}

/// A method on a path.
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: String,
    /// Its parts; one in braces stands for anything.
    pub(crate) path: Vec<String>,
    body: Bodies,
    needs_body: bool,
    query: Vec<Parameter>,
    answers: HashMap<u16, Bodies>,
}

/// What a body must be, by media type. None where there is no body.
type Bodies = HashMap<String, Validator>;

struct Parameter {
    name: String,
    required: bool,
    /// Of an object each key is a parameter.
    keys: Option<Validator>,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let text: Value = serde_saphyr::from_str(CONTRACT).unwrap();
        let mut operations = Vec::new();
        for (path, methods) in text["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if operation.get("operationId").is_some() {
                    operations.push(Operation::read(&text, path, method, methods, operation));
                }
            }
        }
        Self { operations }
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that a request is.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        self.operations.iter().find(|operation| {
            operation.method == method
                && operation.path.len() == parts.len()
                && operation
                    .path
                    .iter()
                    .zip(&parts)
                    .all(|(known, part)| known.starts_with('{') || known == part)
        })
    }
}

impl Operation {
    fn read(text: &Value, path: &str, method: &str, shared: &Value, operation: &Value) -> Self {
        let parameters = [&shared["parameters"], &operation["parameters"]];
        let query = parameters
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|parameter| resolved(text, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| Parameter {
                name: parameter["name"].as_str().unwrap().to_owned(),
                required: parameter["required"] == true,
                keys: (parameter["schema"]["type"] == "object")
                    .then(|| validator(text, &parameter["schema"])),
            });
        let body = resolved(text, &operation["requestBody"]);
        let answers = operation["responses"].as_object().unwrap().iter();
        Self {
            name: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: path
                .trim_start_matches('/')
                .split('/')
                .map(str::to_owned)
                .collect(),
            body: bodies(text, &body["content"]),
            needs_body: body["required"] == true,
            query: query.collect(),
            answers: answers
                .filter_map(|(status, answer)| {
                    let status = status.parse().ok()?;
                    Some((status, bodies(text, &resolved(text, answer)["content"])))
                })
                .collect(),
        }
    }

    /// What is wrong with a request; nothing if it is as described.
    pub(crate) fn faults_of_request(
        &self,
        query: &[(String, String)],
        kind: &str,
        body: &[u8],
    ) -> Vec<String> {
        let unknown = query
            .iter()
            .filter(|(name, value)| !self.query.iter().any(|known| known.takes(name, value)))
            .map(|(name, _)| format!("the query has {name:?}, which is not described"));
        let missing = self
            .query
            .iter()
            .filter(|known| known.required && !query.iter().any(|(name, _)| *name == known.name))
            .map(|known| format!("the query lacks {:?}", known.name));
        let mut faults: Vec<String> = unknown.chain(missing).collect();
        match (body.is_empty(), self.needs_body) {
            (true, true) => faults.push("it has no body".to_owned()),
            (true, false) => {}
            (false, _) => faults.extend(faults_of_body(&self.body, kind, body)),
        }
        faults
    }

    /// What is wrong with an answer; nothing if it is as described.
    pub(crate) fn faults_of_answer(&self, status: u16, kind: &str, body: &[u8]) -> Vec<String> {
        let Some(bodies) = self.answers.get(&status) else {
            return vec![format!("status {status} is not described")];
        };
        match (bodies.is_empty(), body.is_empty()) {
            (true, true) => Vec::new(),
            (true, false) => vec![format!("status {status} comes with a body")],
            (false, true) => vec![format!("status {status} comes without a body")],
            (false, false) => faults_of_body(bodies, kind, body),
        }
    }
}

impl Parameter {
    fn takes(&self, name: &str, value: &str) -> bool {
        match &self.keys {
            Some(keys) => keys.is_valid(&json!({ name: value })),
            None => self.name == name,
        }
    }
}

fn faults_of_body(bodies: &Bodies, kind: &str, body: &[u8]) -> Vec<String> {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let Some(validator) = bodies.get(kind) else {
        return vec![format!("the media type {kind:?} is not described")];
    };
    let values: Vec<&[u8]> = match kind {
        LINES => body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect(),
        _ => vec![body],
    };
    let faults = values.into_iter().flat_map(|value| {
        let value = match serde_json::from_slice::<Value>(value) {
            Ok(value) => value,
            Err(error) => return vec![format!("it is not JSON: {error}")],
        };
        let faults = validator.iter_errors(&value);
        faults
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect()
    });
    faults.collect()
}

fn bodies(text: &Value, content: &Value) -> Bodies {
    let kinds = content.as_object().into_iter().flatten();
    kinds
        .map(|(kind, described)| {
            let schema = &described["schema"];
            let validator = match schema["x-line-schema"].as_str() {
                Some(line) => validator(text, &json!({ "$ref": line })),
                None => validator(text, schema),
            };
            (kind.clone(), validator)
        })
        .collect()
}

/// A validator of a schema that may refer to others of the contract.
fn validator(text: &Value, schema: &Value) -> Validator {
    let whole = json!({ "components": text["components"], "allOf": [schema] });
    jsonschema::options()
        .should_validate_formats(true)
        .build(&whole)
        .unwrap()
}

/// What a reference stands for; anything else is itself.
fn resolved<'a>(text: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => text.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

#[test]
fn what_is_not_as_described_is_told() {
    let contract = Contract::read();
    assert!(contract.operation("GET", "/v1/nothing").is_none());
    let list = contract.operation("GET", "/v1/vms").unwrap();
    let query = |name: &str| [(name.to_owned(), "x".to_owned())];
    assert_eq!(
        list.faults_of_request(&query("metadata.env"), "", b""),
        [""; 0]
    );
    assert_eq!(list.faults_of_request(&query("env"), "", b"").len(), 1);
    let launch = contract.operation("POST", "/v1/vms").unwrap();
    let fault = |body: &str| launch.faults_of_request(&[], "application/json", body.as_bytes());
    assert_eq!(fault(r#"{"machineType":"c1m2"}"#), [""; 0]);
    assert_eq!(fault(r#"{"machineType":1}"#).len(), 1);
    assert_eq!(fault("").len(), 1);
    assert_eq!(
        launch
            .faults_of_answer(299, "application/json", b"{}")
            .len(),
        1
    );
    assert!(
        !launch
            .faults_of_answer(201, "application/json", b"{}")
            .is_empty()
    );
    assert_eq!(
        launch.faults_of_answer(400, "text/html", b"<html>").len(),
        1
    );
}
