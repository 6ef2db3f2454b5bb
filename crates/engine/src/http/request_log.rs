//! An event for every request.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

/// Tells method, path, status and time to the start of the answer. The query stays out: it may be a signature.
pub(super) async fn log(request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::INFO) {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let answer = next.run(request).await;
    let status = answer.status().as_u16();
    let time = start.elapsed().as_secs_f64() * 1000.0;
    tracing::info!("{method} {path} {status} {time:.1} ms");
    answer
}
