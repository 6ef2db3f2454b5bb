//! `/healthz`.

use axum::Json;

use crate::wire::health::Health;

pub(super) async fn get() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
    })
}
