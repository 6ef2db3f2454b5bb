//! `/v1/volume-credentials` and `/v1/volume-credentials/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::Deleted;
use fastvm_api::types::credential::{CreateVolumeCredentialRequest, VolumeCredential};

pub(super) async fn list(
    State(core): State<Arc<Core>>,
) -> Result<Json<Vec<VolumeCredential>>, Failure> {
    Ok(Json(work(move || core.list_credentials()).await?))
}

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Body(request): Body<CreateVolumeCredentialRequest>,
) -> Result<(StatusCode, Json<VolumeCredential>), Failure> {
    let credential = work(move || core.create_credential(&request)).await?;
    Ok((StatusCode::CREATED, Json(credential)))
}

pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Deleted>, Failure> {
    Ok(Json(work(move || core.delete_credential(&id)).await?))
}
