//! Keeps web pages out: a browser on this machine can send requests to loopback for any page that it shows.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Failure;
use crate::local::address;
use crate::local::engine::Core;

/// Refuses what a browser sends for a page, and what calls us by a foreign name.
pub(super) async fn refuse_foreign(
    State(core): State<Arc<Core>>,
    request: Request,
    next: Next,
) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return Failure::forbidden("requests of web pages are refused: Origin is set")
            .into_response();
    }
    let host = match request.headers().get(header::HOST) {
        Some(value) => value.to_str().unwrap_or_default(),
        None => request
            .uri()
            .authority()
            .map_or("", |authority| authority.as_str()),
    };
    if !address::is_ours(host, core.address()) {
        let message =
            format!("host {host:?} is not this engine: call it as localhost or 127.0.0.1");
        return Failure::forbidden(message).into_response();
    }
    next.run(request).await
}
