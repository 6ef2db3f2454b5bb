//! The timer of a VM: it deletes the VM if the server can no longer do so, and is renewed until then.

use std::sync::Arc;

use fastvm_api as api;

use crate::session::Session;

impl Session {
    /// Renews the timer of a VM as long as the VM is there and the server does not end.
    pub(crate) async fn renew(self: Arc<Self>, id: String) {
        let gone = self
            .vms()
            .iter()
            .find(|own| own.vm.id == id)
            .map(|own| own.gone.clone());
        let Some(gone) = gone else { return };
        let Ok(client) = self.client().await else {
            return;
        };
        let failed = |error: &api::Error| {
            tracing::warn!("the timer of VM {id} could not be renewed: {error}");
        };
        tokio::select! {
            error = client.keep_ttl(&id, self.options.lease, failed) => failed(&error),
            () = gone.cancelled() => {}
            () = self.closing.cancelled() => {}
        }
    }
}
