//! `/v1/vms` and `/v1/vms/{id}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use super::query::Parameters;
use crate::engine::{Core, VmFilter};
use fastvm_api::types::Deleted;
use fastvm_api::types::vm::{LaunchRequest, UpdateVmRequest, Vm};

pub(super) async fn list(
    State(core): State<Arc<Core>>,
    parameters: Parameters,
) -> Result<Json<Vec<Vm>>, Failure> {
    let filter = filter(parameters)?;
    Ok(Json(work(move || core.list_vms(&filter)).await?))
}

/// Two different values for one thing can never both match, which nobody means.
fn filter(mut parameters: Parameters) -> Result<VmFilter, Failure> {
    let status = parameters.take("status")?;
    let mut metadata = BTreeMap::new();
    for (name, value) in parameters.0 {
        if let Some(key) = name.strip_prefix("metadata.")
            && metadata.insert(key.to_owned(), value).is_some()
        {
            return Err(Failure::invalid(format!("{name} is given twice")));
        }
    }
    Ok(VmFilter { status, metadata })
}

pub(super) async fn launch(
    State(core): State<Arc<Core>>,
    Body(request): Body<LaunchRequest>,
) -> Result<(StatusCode, Json<Vm>), Failure> {
    let vm = work(move || core.launch(&request)).await?;
    Ok((StatusCode::CREATED, Json(vm)))
}

pub(super) async fn get(State(core): State<Arc<Core>>, Id(id): Id) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.get_vm(&id)).await?))
}

pub(super) async fn update(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(change): Body<UpdateVmRequest>,
) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.update_vm(&id, &change)).await?))
}

pub(super) async fn delete(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Deleted>, Failure> {
    Ok(Json(work(move || core.delete_vm(&id)).await?))
}

pub(super) async fn pause(State(core): State<Arc<Core>>, Id(id): Id) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.pause_vm(&id)).await?))
}

pub(super) async fn refresh_ttl(
    State(core): State<Arc<Core>>,
    Id(id): Id,
) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.refresh_ttl(&id)).await?))
}

pub(super) async fn resume(State(core): State<Arc<Core>>, Id(id): Id) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.resume_vm(&id)).await?))
}
