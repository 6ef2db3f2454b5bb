//! Keeps web pages out: a browser on this machine can send requests to loopback for any page that it shows.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{header, uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Failure;
use crate::address::Authority;
use crate::engine::Core;

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
    match check_names(&request, core.address()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Checks every name that a request calls us by. There may be two: that of the address and that of the `Host` header, which
/// programs in between may read differently.
fn check_names(request: &Request, listening: SocketAddr) -> Result<(), Failure> {
    let hosts: Vec<_> = request.headers().get_all(header::HOST).iter().collect();
    if hosts.len() > 1 {
        return Err(Failure::invalid("the request has more than one Host"));
    }
    let hosts = hosts
        .into_iter()
        .map(|host| host.to_str().unwrap_or_default());
    let authority = request.uri().authority().map(uri::Authority::as_str);
    let mut is_named = false;
    for name in hosts.chain(authority) {
        is_named = true;
        let Some(authority) = Authority::parse(name) else {
            return Err(Failure::invalid(format!(
                "host {name:?} is not a name or address with a port"
            )));
        };
        if !authority.is_ours(listening) {
            return Err(Failure::forbidden(format!(
                "host {name:?} is not this engine: call it as localhost or 127.0.0.1"
            )));
        }
    }
    if is_named {
        Ok(())
    } else {
        Err(Failure::invalid("the request has no Host"))
    }
}
