//! Calls about VMs.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::time::sleep;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::vm::{LaunchRequest, UpdateVmRequest, Vm};
use crate::types::{Deleted, Record};

/// The shortest time between two tries to begin a cycle of a timer.
const SHORTEST_RETRY: Duration = Duration::from_millis(500);

/// Which VMs a list holds. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct VmFilter {
    /// The status, see [`status`](crate::types::vm::status).
    pub status: Option<String>,
    /// Metadata that must be equal.
    pub metadata: Vec<(String, String)>,
}

impl Client {
    /// Returns the VMs that match, without those that are deleted.
    ///
    /// # Errors
    /// A failure of the request.
    pub async fn list_vms(&self, filter: &VmFilter) -> Result<Vec<Record<Vm>>, Error> {
        let mut request = Request::get(["v1", "vms"]);
        request.query.extend(
            filter
                .status
                .iter()
                .map(|status| ("status".to_owned(), status.clone())),
        );
        let labels = filter.metadata.iter();
        request
            .query
            .extend(labels.map(|(key, value)| (format!("metadata.{key}"), value.clone())));
        self.array(request).await
    }

    /// Returns a VM.
    ///
    /// # Errors
    /// The VM is not there, or a failure of the request.
    pub async fn get_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::get(["v1", "vms", id])).await
    }

    /// Asks for a VM, once: nothing lets a server recognise a repeat.
    ///
    /// It may not be running yet: [`Client::wait_until_running`] waits for that.
    ///
    /// # Errors
    /// The request is not valid, a quota is used up, or a failure of the request. If
    /// [`is_outcome_unknown`](Error::is_outcome_unknown) is true, there may be a VM all the same.
    pub async fn launch_vm(&self, launch: &LaunchRequest) -> Result<Record<Vm>, Error> {
        let names_nothing = launch.snapshot_id.is_none() && launch.volumes.is_none();
        let request = Request::post(["v1", "vms"]).once().json(launch)?;
        self.created(request.names_nothing(names_nothing)).await
    }

    /// Changes a VM.
    ///
    /// # Errors
    /// The VM is not there, the change is not valid, or a failure of the request.
    pub async fn update_vm(&self, id: &str, change: &UpdateVmRequest) -> Result<Record<Vm>, Error> {
        self.thing(
            id,
            Request::new(Method::PATCH, ["v1", "vms", id]).json(change)?,
        )
        .await
    }

    /// Deletes a VM with its disk.
    ///
    /// # Errors
    /// The VM is not there, or a failure of the request.
    pub async fn delete_vm(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "vms", id]).await
    }

    /// Saves the state of a VM and gives back its quota. Returns once that is done.
    ///
    /// # Errors
    /// The VM is not there or cannot be paused now, or a failure of the request.
    pub async fn pause_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "pause"]))
            .await
    }

    /// Restores the state of a VM and takes its quota again. It may not be running yet.
    ///
    /// # Errors
    /// The VM is not there, a quota is used up, or a failure of the request.
    pub async fn resume_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "resume"]))
            .await
    }

    /// Begins a full cycle of a VM's timer.
    ///
    /// # Errors
    /// The VM is not there or has no timer, or a failure of the request.
    pub async fn refresh_ttl(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "ttl", "refresh"]))
            .await
    }

    /// Begins a full cycle of a VM's timer three times in its length, so that the VM stays as long as this is awaited.
    ///
    /// Returns the failure that every later try would meet too: the VM is gone or has no timer, or the API knows none.
    /// `failed` hears of the others, after which it is tried again soon.
    pub async fn keep_ttl(
        &self,
        id: &str,
        length: Duration,
        mut failed: impl FnMut(&Error),
    ) -> Error {
        let interval = length / 3;
        let mut pause = interval;
        loop {
            sleep(pause).await;
            pause = match self.refresh_ttl(id).await {
                Ok(_) => interval,
                Err(error) if would_fail_again(&error) => return error,
                Err(error) => {
                    failed(&error);
                    (interval / 4).max(SHORTEST_RETRY)
                }
            };
        }
    }
}

/// Returns whether a later try to begin a cycle of a timer would fail, too.
fn would_fail_again(error: &Error) -> bool {
    let may_pass = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
        // A key that is being replaced may be right again.
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    // The timer of a paused VM stands still, and goes on with it.
    !error.is_vm_paused()
        && (matches!(error, Error::NotTheApi { .. })
            || error.status().is_some_and(|status| {
                status == StatusCode::NOT_IMPLEMENTED
                    || (status.is_client_error() && !may_pass.contains(&status))
            }))
}
