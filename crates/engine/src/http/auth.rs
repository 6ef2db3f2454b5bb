//! Who may call the API.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::hmac;

use super::answer::Failure;
use crate::engine::Core;
use crate::server::Caller;

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// Lets a request with the right key through, others are a 401.
pub(super) async fn require_key(
    State(core): State<Arc<Core>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match request.headers().get(KEY_HEADER) {
        None => "no api key: send it as X-API-Key",
        Some(key) if is_same(key.as_bytes(), core.key().expose().as_bytes()) => {
            caller.authenticate();
            return next.run(request).await;
        }
        Some(_) => "the api key is not the one of this engine",
    };
    Failure::new(StatusCode::UNAUTHORIZED, refusal).into_response()
}

/// Returns whether a request carries a key, be it right or wrong.
pub(super) fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key(KEY_HEADER)
}

/// Compares without telling by the time it takes how much is right: the digests are compared, in constant time.
fn is_same(given: &[u8], right: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, right);
    hmac::verify(&key, given, hmac::sign(&key, right).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_passes() {
        assert!(is_same(b"fvl_abc", b"fvl_abc"));
        assert!(!is_same(b"fvl_abd", b"fvl_abc"));
        assert!(!is_same(b"", b"fvl_abc"));
    }
}
