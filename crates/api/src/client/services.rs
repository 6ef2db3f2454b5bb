//! Calls about the HTTP services of a VM.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::service::{RegisterServiceRequest, ServiceAnswer, UpdateServiceRequest};
use crate::types::{Deleted, Record};

impl Client {
    /// Returns the services of a VM.
    ///
    /// # Errors
    /// The VM is not there, or a failure of the request.
    pub async fn list_services(&self, vm: &str) -> Result<Vec<Record<ServiceAnswer>>, Error> {
        self.array(Request::get(["v1", "vms", vm, "services"]))
            .await
    }

    /// Registers a service, once.
    ///
    /// # Errors
    /// Its name is taken by one with another port or h2c, the VM is not there, or a failure of the request.
    pub async fn register_service(
        &self,
        vm: &str,
        service: &RegisterServiceRequest,
    ) -> Result<Record<ServiceAnswer>, Error> {
        let request = Request::post(["v1", "vms", vm, "services"]);
        self.object(request.once().json(service)?).await
    }

    /// Makes a service, or changes its port or h2c.
    ///
    /// # Errors
    /// The VM is not there, the service is not valid, or a failure of the request.
    pub async fn update_service(
        &self,
        vm: &str,
        name: &str,
        change: &UpdateServiceRequest,
    ) -> Result<Record<ServiceAnswer>, Error> {
        let request = Request::new(Method::PUT, ["v1", "vms", vm, "services", name]);
        self.object(request.json(change)?).await
    }

    /// Removes a service. One that is not there counts as removed.
    ///
    /// # Errors
    /// The VM is not there, or a failure of the request.
    pub async fn delete_service(&self, vm: &str, name: &str) -> Result<Record<Deleted>, Error> {
        let path = ["v1", "vms", vm, "services", name];
        let request = Request::new(Method::DELETE, path);
        let what = request.what();
        self.done(request).await?;
        // The answer has no body: this is what those of other things say.
        let deleted = Deleted {
            id: name.to_owned(),
            deleted: Some(true),
        };
        Record::of(deleted).map_err(|error| self.unreadable(&what, error))
    }
}
