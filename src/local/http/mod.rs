//! The routes: each handler takes a request apart, has the engine do one verb, and answers.

mod answer;
mod auth;
mod body;
mod exec;
mod health;
mod mark;
mod ndjson;
mod origin;
mod quotas;
pub(crate) mod router;
mod vms;
