//! Calls about VMs.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::vm::{LaunchRequest, UpdateVmRequest, Vm};
use crate::types::{Deleted, Record};

/// Which VMs a list holds. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct VmFilter {
    pub status: Option<String>,
    /// Metadata that must be equal.
    pub metadata: Vec<(String, String)>,
}

impl Client {
    /// All VMs that are not deleted.
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

    pub async fn get_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::get(["v1", "vms", id])).await
    }

    /// Asks for a VM, once: nothing lets a server recognise a repeat. It may not be running yet.
    pub async fn launch_vm(&self, launch: &LaunchRequest) -> Result<Record<Vm>, Error> {
        let names_nothing = launch.snapshot_id.is_none() && launch.volumes.is_none();
        let request = Request::post(["v1", "vms"]).once().json(launch)?;
        self.created(request.names_nothing(names_nothing)).await
    }

    pub async fn update_vm(&self, id: &str, change: &UpdateVmRequest) -> Result<Record<Vm>, Error> {
        self.thing(
            id,
            Request::new(Method::PATCH, ["v1", "vms", id]).json(change)?,
        )
        .await
    }

    pub async fn delete_vm(&self, id: &str) -> Result<Record<Deleted>, Error> {
        self.deletion(["v1", "vms", id]).await
    }

    /// Saves the state and gives back the quota. Answers when done.
    pub async fn pause_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "pause"]))
            .await
    }

    /// Restores the state and takes the quota again. The VM may still wait for a place.
    pub async fn resume_vm(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "resume"]))
            .await
    }

    /// Begins a full cycle of the VM's timer. A VM without one is a conflict.
    pub async fn refresh_ttl(&self, id: &str) -> Result<Record<Vm>, Error> {
        self.thing(id, Request::post(["v1", "vms", id, "ttl", "refresh"]))
            .await
    }
}
