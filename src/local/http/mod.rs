//! The routes: each handler takes a request apart, has the engine do one verb, and answers.

mod answer;
mod auth;
mod body;
mod health;
mod mark;
mod origin;
mod quotas;
pub(crate) mod router;
