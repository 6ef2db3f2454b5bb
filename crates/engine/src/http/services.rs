//! `/v1/vms/{id}/services` and `…/services/{serviceName}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::{Id, IdAndName};
use crate::engine::Core;
use fastvm_api::types::service::{RegisterServiceRequest, Service, UpdateServiceRequest};

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Vec<Service>>, Failure> {
    Ok(Json(work(move || core.list_services(&id)).await?))
}

pub(super) async fn register(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(request): Body<RegisterServiceRequest>,
) -> Result<(StatusCode, Json<Service>), Failure> {
    let service = work(move || core.register_service(&id, request)).await?;
    Ok((StatusCode::CREATED, Json(service)))
}

pub(super) async fn update(
    State(core): State<Arc<Core>>,
    IdAndName(id, name): IdAndName,
    Body(change): Body<UpdateServiceRequest>,
) -> Result<Json<Service>, Failure> {
    let service = work(move || core.update_service(&id, &name, &change)).await?;
    Ok(Json(service))
}

pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    IdAndName(id, name): IdAndName,
) -> Result<StatusCode, Failure> {
    work(move || core.delete_service(&id, &name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
