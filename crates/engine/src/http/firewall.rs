//! `/v1/vms/{id}/firewall`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::{Failure, work};
use super::body::Body;
use super::id::Id;
use crate::engine::Core;
use fastvm_api::types::firewall::{FirewallPolicy, FirewallPolicyPatch};
use fastvm_api::types::vm::Vm;

pub(super) async fn put(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(policy): Body<FirewallPolicy>,
) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.set_firewall(&id, policy)).await?))
}

pub(super) async fn patch(
    State(core): State<Arc<Core>>,
    Id(id): Id,
    Body(patch): Body<FirewallPolicyPatch>,
) -> Result<Json<Vm>, Failure> {
    Ok(Json(work(move || core.patch_firewall(&id, patch)).await?))
}
