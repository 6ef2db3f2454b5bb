//! `/healthz`.

use axum::Json;

use fastvm_api::types::health::Health;

pub(super) async fn get() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
    })
}
