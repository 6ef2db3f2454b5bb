//! `/v1/vms/{id}/files/presign` and `…/files/fetch`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::exec::ExecResponse;
use fastvm_api::types::file::{FileFetchRequest, FilePresignRequest, FilePresignResponse};

pub(super) async fn presign(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(request): Body<FilePresignRequest>,
) -> Result<Json<FilePresignResponse>, Failure> {
    Ok(Json(work(move || core.presign(&id, &request)).await?))
}

pub(super) async fn fetch(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(request): Body<FileFetchRequest>,
) -> Result<Json<ExecResponse>, Failure> {
    Ok(Json(work(move || core.fetch(&id, &request)).await?))
}
