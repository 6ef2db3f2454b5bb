//! `/v1/volumes` and below.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::Deleted;
use fastvm_api::types::volume::{
    CreateVolumeRequest, UpdateVolumeRequest, Volume, VolumeAttachmentRecord,
};

pub(super) async fn list(State(core): State<Arc<Core>>) -> Result<Json<Vec<Volume>>, Failure> {
    Ok(Json(work(move || core.list_volumes()).await?))
}

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Body(request): Body<CreateVolumeRequest>,
) -> Result<(StatusCode, Json<Volume>), Failure> {
    let volume = work(move || core.create_volume(request)).await?;
    Ok((StatusCode::CREATED, Json(volume)))
}

pub(super) async fn get(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Volume>, Failure> {
    Ok(Json(work(move || core.get_volume(&id)).await?))
}

pub(super) async fn update(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(change): Body<UpdateVolumeRequest>,
) -> Result<Json<Volume>, Failure> {
    Ok(Json(work(move || core.update_volume(&id, &change)).await?))
}

pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Deleted>, Failure> {
    Ok(Json(work(move || core.delete_volume(&id)).await?))
}

pub(super) async fn attachments(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Vec<VolumeAttachmentRecord>>, Failure> {
    Ok(Json(work(move || core.volume_attachments(&id)).await?))
}

pub(super) async fn diagnostics(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Value>, Failure> {
    Ok(Json(work(move || core.diagnose_volume(&id)).await?))
}
