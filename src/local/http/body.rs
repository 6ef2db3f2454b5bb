//! JSON bodies of requests.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::answer::Failure;

/// The largest JSON body, in bytes. Standard input of an exec is the largest part of one.
const LIMIT: usize = 16 * 1024 * 1024;

/// A JSON body. Broken JSON and missing fields are a 400 that says where, too much is a 413.
///
/// The content type is not looked at: nothing but JSON is ever meant.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(Failure::invalid(
                "the body is empty: a JSON object is expected",
            ));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Failure::invalid(format!("the body is not what is expected here: {error}"))
        })
    }
}

async fn read(request: Request) -> Result<Bytes, Failure> {
    let stated = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > LIMIT as u64) {
        return Err(too_large());
    }
    to_bytes(request.into_body(), LIMIT).await.map_err(|error| {
        // `to_bytes` gives one error for two causes and names the limit in the text of its source only.
        match std::error::Error::source(&error).map(ToString::to_string) {
            Some(cause) if cause.contains("length limit") => too_large(),
            _ => Failure::invalid("the body broke off"),
        }
    })
}

fn too_large() -> Failure {
    let message = format!("the body is larger than {LIMIT} bytes");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
