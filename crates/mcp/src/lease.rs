//! The timer of a VM: it deletes the VM if the server can no longer do so, and is renewed until then.

use std::sync::Arc;
use std::time::Duration;

use fastvm_api::types::vm::Ttl;
use fastvm_api::{self as api, StatusCode};

use crate::session::Session;

/// The shortest time between two tries to renew a timer that could not be renewed.
const SHORTEST_RETRY: Duration = Duration::from_millis(500);

/// The timer of a VM that lives so long without its server.
pub(crate) fn ttl(length: Duration) -> Ttl {
    Ttl {
        action: "delete".to_owned(),
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
    }
}

impl Session {
    /// Renews the timer of a VM three times a cycle, as long as the VM is there and the server does not end.
    pub(crate) async fn renew(self: Arc<Self>, id: String) {
        let gone = self
            .vms()
            .iter()
            .find(|own| own.vm.id == id)
            .map(|own| own.gone.clone());
        let Some(gone) = gone else { return };
        let interval = self.options.lease / 3;
        let mut pause = interval;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = gone.cancelled() => return,
                () = self.closing.cancelled() => return,
            }
            let Ok(client) = self.client().await else {
                return;
            };
            pause = match client.refresh_ttl(&id).await {
                Ok(_) => interval,
                Err(error) if is_final(&error) => return,
                Err(error) => {
                    tracing::warn!("the timer of VM {id} could not be renewed: {error}");
                    (interval / 4).max(SHORTEST_RETRY)
                }
            };
        }
    }
}

/// Returns whether a later try would fail too: the VM has no timer or is gone, or the API has no such call.
fn is_final(error: &api::Error) -> bool {
    let statuses = [
        StatusCode::NOT_FOUND,
        StatusCode::CONFLICT,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_IMPLEMENTED,
    ];
    matches!(error, api::Error::NotTheApi { .. })
        || error
            .status()
            .is_some_and(|status| statuses.contains(&status))
}
