//! What every answer carries.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LOCAL: HeaderName = HeaderName::from_static("x-fastvm-local");

/// Says that this is the local engine (format 1), and where it differs from the service: a snapshot keeps the disk and
/// not the memory, and the public address is a private one that nobody routes.
const DIFFERENCES: HeaderValue =
    HeaderValue::from_static("1; snapshots=disk; public-ipv6=unrouted");

/// Gives every answer an id, and the mark of the local engine.
pub(super) async fn mark(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    headers.insert(LOCAL, DIFFERENCES);
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    answer
}
