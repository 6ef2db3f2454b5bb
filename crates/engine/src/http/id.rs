//! Ids in paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::answer::Failure;

/// The id in a path, whatever it looks like: one that cannot be an id is not found, as any other that is not there.
pub(super) struct Id(pub(super) String);

/// The id of a VM and the name of something that it has.
pub(super) struct IdAndName(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(read(parts, state).await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdAndName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let (id, name) = read(parts, state).await?;
        Ok(Self(id, name))
    }
}

async fn read<T: DeserializeOwned + Send>(
    parts: &mut Parts,
    state: &(impl Send + Sync),
) -> Result<T, Failure> {
    match Path::from_request_parts(parts, state).await {
        Ok(Path(read)) => Ok(read),
        Err(_) => Err(Failure::not_found(format!(
            "not found: {}",
            parts.uri.path()
        ))),
    }
}
