//! The routes: each handler takes a request apart, has the engine do one verb, and answers.

mod answer;
mod auth;
mod body;
mod builds;
mod console;
mod credentials;
mod exec;
mod files;
mod firewall;
mod health;
mod id;
mod json;
mod mark;
mod ndjson;
mod origin;
mod query;
mod quotas;
mod range;
mod request_log;
pub(crate) mod router;
mod services;
mod snapshots;
mod storage;
mod transfer;
mod vms;
mod volumes;
