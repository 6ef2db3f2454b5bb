//! JSON bodies of requests.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::Failure;
use super::json;

/// How long a client may be silent before its body is complete.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest JSON body, in bytes. Standard input of an exec is the largest part of one.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// How much of a body that is too large is read before giving up, in bytes.
const MOST_DROPPED: usize = 64 * 1024 * 1024;

/// A JSON body. Broken JSON and missing fields are a 400 that says where, too much is a 413,
/// one that stops arriving is a 408.
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
        json::from_slice(&bytes).map(Self).map_err(Failure::invalid)
    }
}

/// Reads a body whole. Of one that is too large the rest is read too, up to a point: a client that cannot finish
/// sending often does not look for an answer.
async fn read(request: Request) -> Result<Vec<u8>, Failure> {
    let mut chunks = request.into_body().into_data_stream();
    let mut bytes = Vec::new();
    let mut dropped = 0;
    while let Some(chunk) = timeout(BODY_READ_TIMEOUT, chunks.next())
        .await
        .map_err(|_| {
            Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            )
        })?
    {
        let chunk = chunk.map_err(|_| Failure::invalid("the body broke off"))?;
        if dropped == 0 && bytes.len() + chunk.len() <= BODY_LIMIT {
            bytes.extend_from_slice(&chunk);
            continue;
        }
        dropped += chunk.len();
        if dropped > MOST_DROPPED {
            break;
        }
    }
    if dropped > 0 {
        let message = format!("the body is larger than {BODY_LIMIT} bytes");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(bytes)
}
