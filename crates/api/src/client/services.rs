//! Calls about the HTTP services of a VM.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::Record;
use crate::types::service::{RegisterServiceRequest, ServiceAnswer, UpdateServiceRequest};

impl Client {
    pub async fn list_services(&self, vm: &str) -> Result<Vec<Record<ServiceAnswer>>, Error> {
        self.array(Request::get(["v1", "vms", vm, "services"]))
            .await
    }

    /// Registers a service, once. Another port or h2c under its name is a conflict.
    pub async fn register_service(
        &self,
        vm: &str,
        service: &RegisterServiceRequest,
    ) -> Result<Record<ServiceAnswer>, Error> {
        let request = Request::post(["v1", "vms", vm, "services"]);
        self.object(request.once().json(service)?).await
    }

    /// Makes a service, or changes its port or h2c.
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
    pub async fn delete_service(&self, vm: &str, name: &str) -> Result<(), Error> {
        let path = ["v1", "vms", vm, "services", name];
        self.done(Request::new(Method::DELETE, path)).await
    }
}
