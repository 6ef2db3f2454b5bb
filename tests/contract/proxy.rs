//! A proxy between client and engine that holds everything said against the contract.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::description::Contract;

const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// What went through.
pub(crate) struct Proxy {
    pub(crate) url: String,
    heard: Arc<Heard>,
}

struct Heard {
    contract: Contract,
    engine: String,
    client: reqwest::Client,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    operations: BTreeSet<String>,
    faults: Vec<String>,
}

impl Proxy {
    /// Passes on to the engine at `engine`.
    pub(crate) async fn start(engine: &str) -> Self {
        let heard = Arc::new(Heard {
            contract: Contract::read(),
            engine: engine.to_owned(),
            client: crate::engine::rig::client(),
            notes: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(pass).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, heard }
    }

    /// What was not as described.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.heard.notes.lock().unwrap().faults.clone()
    }

    /// Operations of the contract that nobody called.
    pub(crate) fn silent(&self) -> Vec<&str> {
        let notes = self.heard.notes.lock().unwrap();
        let all = self.heard.contract.operations().iter();
        all.map(|operation| operation.name.as_str())
            .filter(|name| !notes.operations.contains(*name))
            .collect()
    }
}

async fn pass(State(heard): State<Arc<Heard>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, LARGEST_BODY).await.unwrap();
    let target = parts.uri.path_and_query().unwrap().as_str();
    let answer = heard
        .client
        .request(parts.method.clone(), format!("{}{target}", heard.engine))
        .headers(passed_on(&parts.headers))
        .body(sent.clone())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let headers = answer.headers().clone();
    let told = answer.bytes().await.unwrap();
    heard.note(&parts, &sent, status.as_u16(), &headers, &told);
    let mut response = Response::new(Body::from(told));
    *response.status_mut() = status;
    *response.headers_mut() = passed_on(&headers);
    response
}

/// Without what belongs to one connection.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
    headers
}

impl Heard {
    fn note(
        &self,
        request: &axum::http::request::Parts,
        sent: &Bytes,
        status: u16,
        headers: &HeaderMap,
        told: &Bytes,
    ) {
        let (method, path) = (request.method.as_str(), request.uri.path());
        let mut notes = self.notes.lock().unwrap();
        let Some(operation) = self.contract.operation(method, path) else {
            notes
                .faults
                .push(format!("{method} {path} is not described"));
            return;
        };
        let query = reqwest::Url::parse(&format!("http://proxy{}", request.uri)).unwrap();
        let query: Vec<(String, String)> = query.query_pairs().into_owned().collect();
        let of_request = operation.faults_of_request(&query, kind(&request.headers), sent);
        let of_answer = operation.faults_of_answer(status, kind(headers), told);
        let faults = of_request
            .iter()
            .map(|fault| ("request", fault))
            .chain(of_answer.iter().map(|fault| ("answer", fault)))
            .map(|(what, fault)| format!("{what} of {method} {path} ({status}): {fault}"));
        notes.faults.extend(faults);
        notes.operations.insert(operation.name.clone());
    }
}

fn kind(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
