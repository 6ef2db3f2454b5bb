//! Calls about the firewall of a VM. Both answer with the VM.

use reqwest::Method;

use super::Client;
use super::error::Error;
use super::request::Request;
use crate::types::Record;
use crate::types::firewall::{FirewallPolicy, FirewallPolicyPatch};
use crate::types::vm::Vm;

impl Client {
    /// Replaces the whole policy, and returns the VM.
    ///
    /// # Errors
    /// The VM is not there, the policy is not valid, or a failure of the request.
    pub async fn set_firewall(
        &self,
        vm: &str,
        policy: &FirewallPolicy,
    ) -> Result<Record<Vm>, Error> {
        let request = Request::new(Method::PUT, ["v1", "vms", vm, "firewall"]);
        self.thing(vm, request.json(policy)?).await
    }

    /// Changes the mode, the whole list of rules, or both, and returns the VM.
    ///
    /// # Errors
    /// As [`Client::set_firewall`].
    pub async fn patch_firewall(
        &self,
        vm: &str,
        patch: &FirewallPolicyPatch,
    ) -> Result<Record<Vm>, Error> {
        let request = Request::new(Method::PATCH, ["v1", "vms", vm, "firewall"]);
        self.thing(vm, request.json(patch)?).await
    }
}
