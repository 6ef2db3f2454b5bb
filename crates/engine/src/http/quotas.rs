//! `/v1/org/quotas`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::{Failure, work};
use crate::engine::Core;
use fastvm_api::types::quota::QuotaUsage;

pub(super) async fn get(State(core): State<Arc<Core>>) -> Result<Json<QuotaUsage>, Failure> {
    Ok(Json(work(move || core.quota_usage()).await?))
}
