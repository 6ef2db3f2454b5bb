//! An engine on a data folder of its own, and short words to call it.

use std::path::Path;
use std::sync::Arc;

use fastvm_engine::{Engine, Options};
use reqwest::RequestBuilder;
use serde_json::{Value, json as value};
use tempfile::TempDir;

/// An engine that is stopped, and its VMs deleted, when it goes.
pub(crate) struct Rig {
    pub(crate) engine: Option<Engine>,
    pub(crate) data: Arc<TempDir>,
    pub(crate) client: reqwest::Client,
}

/// The options that tests use: the real binary as init.
pub(crate) fn options(data: &Path) -> Options {
    Options {
        program: env!("CARGO_BIN_EXE_fastvm").into(),
        ..Options::new(data)
    }
}

/// A JSON value from text.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        crate::common::limit::begin();
        let data = Arc::new(tempfile::tempdir().unwrap());
        let mut options = options(data.path());
        change(&mut options);
        let engine = fastvm_engine::start(options).unwrap();
        Self {
            engine: Some(engine),
            data,
            client: client(),
        }
    }

    /// Another engine on the data folder of a rig.
    pub(crate) fn beside(rig: &Self) -> Self {
        let engine = fastvm_engine::start(options(rig.data.path())).unwrap();
        Self {
            engine: Some(engine),
            data: rig.data.clone(),
            client: client(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.engine().url())
    }

    /// A request without a key.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().unwrap(), self.url(path))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path)
            .header("x-api-key", self.engine().key().expose())
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "").await
    }

    /// Status and body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<String>,
    ) -> (u16, Value) {
        let answer = self
            .request(method, path)
            .body(body.into())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A fresh VM's id.
    pub(crate) async fn vm(&self) -> String {
        let (status, vm) = self
            .send("POST", "/v1/vms", r#"{"machineType":"c1m1"}"#)
            .await;
        assert_eq!(status, 201, "{vm}");
        vm["id"].as_str().unwrap().to_owned()
    }

    /// The answer to a buffered exec.
    pub(crate) async fn exec(&self, id: &str, command: &[&str]) -> Value {
        self.exec_with(id, value!({ "command": command })).await
    }

    /// The answer to a buffered exec of a whole request.
    pub(crate) async fn exec_with(&self, id: &str, request: Value) -> Value {
        let body = request.to_string();
        let (status, run) = self.send("POST", &format!("/v1/vms/{id}/exec"), body).await;
        assert_eq!(status, 200, "{run}");
        run
    }
}

/// A client of its own for each rig: a pooled connection would outlive the runtime of its test.
pub(crate) fn client() -> reqwest::Client {
    // Only the first test of the process can.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
        // The last one on the folder leaves nothing.
        if Arc::strong_count(&self.data) == 1 {
            fastvm_engine::reset(options(self.data.path())).unwrap();
        }
    }
}
