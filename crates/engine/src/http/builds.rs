//! `/v1/builds`, `/v1/builds/{id}` and `/v1/build-contexts/presign`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::build::{Build, CreateBuildRequest};
use fastvm_api::types::file::FilePresignResponse;

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Body(request): Body<CreateBuildRequest>,
) -> Result<(StatusCode, Json<Build>), Failure> {
    let build = work(move || core.create_build(&request)).await?;
    Ok((StatusCode::ACCEPTED, Json(build)))
}

pub(super) async fn get(State(core): State<Arc<Core>>, Id(id): Id) -> Result<Json<Build>, Failure> {
    Ok(Json(work(move || core.get_build(&id)).await?))
}

pub(super) async fn presign(
    State(core): State<Arc<Core>>,
) -> Result<Json<FilePresignResponse>, Failure> {
    Ok(Json(work(move || core.presign_context()).await?))
}
