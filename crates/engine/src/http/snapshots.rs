//! `/v1/snapshots` and `/v1/snapshots/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::Deleted;
use fastvm_api::types::snapshot::{CreateSnapshotRequest, Snapshot, UpdateSnapshotRequest};

pub(super) async fn list(State(core): State<Arc<Core>>) -> Result<Json<Vec<Snapshot>>, Failure> {
    Ok(Json(work(move || core.list_snapshots()).await?))
}

pub(super) async fn create(
    State(core): State<Arc<Core>>,
    Body(request): Body<CreateSnapshotRequest>,
) -> Result<(StatusCode, Json<Snapshot>), Failure> {
    let snapshot = work(move || core.create_snapshot(&request)).await?;
    Ok((StatusCode::CREATED, Json(snapshot)))
}

pub(super) async fn get(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Snapshot>, Failure> {
    Ok(Json(work(move || core.get_snapshot(&id)).await?))
}

pub(super) async fn update(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(change): Body<UpdateSnapshotRequest>,
) -> Result<Json<Snapshot>, Failure> {
    Ok(Json(
        work(move || core.update_snapshot(&id, &change)).await?,
    ))
}

pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Deleted>, Failure> {
    Ok(Json(work(move || core.delete_snapshot(&id)).await?))
}
