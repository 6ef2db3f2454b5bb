//! Every route.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, delete, get, post, put};

use super::answer::Failure;
use super::{
    auth, builds, console, credentials, exec, files, firewall, health, mark, origin, quotas,
    request_log, services, snapshots, storage, vms, volumes,
};
use crate::engine::Core;

/// What callers on this machine may ask: everything, the API with the key.
pub(crate) fn for_callers(core: Arc<Core>) -> Router {
    let api = Router::new()
        .route("/v1/vms", get(vms::list).post(vms::launch))
        .route(
            "/v1/vms/{id}",
            get(vms::get).patch(vms::update).delete(vms::delete),
        )
        .route("/v1/vms/{id}/pause", post(vms::pause))
        .route("/v1/vms/{id}/resume", post(vms::resume))
        .route("/v1/vms/{id}/ttl/refresh", post(vms::refresh_ttl))
        .route(
            "/v1/vms/{id}/firewall",
            put(firewall::put).patch(firewall::patch),
        )
        .route(
            "/v1/vms/{id}/services",
            get(services::list).post(services::register),
        )
        .route(
            "/v1/vms/{id}/services/{serviceName}",
            put(services::update).delete(services::delete),
        )
        .route("/v1/vms/{id}/exec", post(exec::post))
        .route("/v1/vms/{id}/console-token", post(console::token))
        .route("/v1/vms/{id}/files/presign", post(files::presign))
        .route("/v1/vms/{id}/files/fetch", post(files::fetch))
        .route(
            "/v1/snapshots",
            get(snapshots::list).post(snapshots::create),
        )
        .route(
            "/v1/snapshots/{id}",
            get(snapshots::get)
                .patch(snapshots::update)
                .delete(snapshots::delete),
        )
        .route("/v1/builds", post(builds::create))
        .route("/v1/builds/{id}", get(builds::get))
        .route("/v1/build-contexts/presign", post(builds::presign))
        .route("/v1/volumes", get(volumes::list).post(volumes::create))
        .route(
            "/v1/volumes/{id}",
            get(volumes::get)
                .patch(volumes::update)
                .delete(volumes::delete),
        )
        .route("/v1/volumes/{id}/attachments", get(volumes::attachments))
        .route("/v1/volumes/{id}/diagnostics", get(volumes::diagnostics))
        .route(
            "/v1/volume-credentials",
            get(credentials::list).post(credentials::create),
        )
        .route("/v1/volume-credentials/{id}", delete(credentials::delete))
        .route("/v1/org/quotas", get(quotas::get))
        .layer(from_fn_with_state(core.clone(), auth::require_key));
    // The token that opens a console is its only key.
    let consoles = Router::new().route("/v1/vms/{id}/console/ws", get(console::open));
    finish(open().merge(api).merge(consoles), core)
}

/// What programs in a VM may ask: never the API, with whatever key.
pub(crate) fn for_guests(core: Arc<Core>) -> Router {
    let closed = Router::new().route("/v1/{*rest}", any(no_api));
    finish(open().merge(closed), core)
}

/// What needs no key: signed URLs are their own.
fn open() -> Router<Arc<Core>> {
    Router::new()
        .route("/healthz", get(health::get))
        .route("/blobs/{id}", get(storage::get).put(storage::put))
}

fn finish(router: Router<Arc<Core>>, core: Arc<Core>) -> Router {
    router
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(core.clone(), origin::refuse_foreign))
        .layer(from_fn(mark::mark))
        .layer(from_fn(request_log::log))
        .with_state(core)
}

async fn no_api() -> Failure {
    Failure::forbidden("the api is not open to programs in a VM")
}

async fn no_route(method: Method, uri: Uri) -> Failure {
    Failure::not_found(format!("no such route: {method} {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Failure {
    Failure::wrong_method(format!("{method} is not allowed on {}", uri.path()))
}
