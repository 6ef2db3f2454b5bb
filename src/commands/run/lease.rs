//! The timer of the VM of a `run`: it deletes the VM if this command can no longer do so, and is renewed until then.

use std::convert::Infallible;
use std::time::Duration;

use crate::output::Messages;
use crate::output::control::visible;
use crate::output::human;
use fastvm_api::types::vm::{Ttl, UpdateVmRequest, Vm};
use fastvm_api::{self as api, Client};

/// How long the VM lives on without this command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease(Duration);

impl Lease {
    pub(super) fn new(length: Duration) -> Self {
        Self(length)
    }

    /// The timer that holds it.
    pub(super) fn ttl(self) -> Ttl {
        Ttl::delete_after(self.0)
    }

    /// Says so if the API set no timer.
    pub(super) fn check(self, vm: &Vm, messages: &Messages) {
        if vm.ttl.is_none() {
            messages.verbose(1, &without("the API set no timer"));
        }
    }

    /// Renews it three times a cycle for as long as this is awaited. Gives up where the API knows no timers.
    pub(super) async fn renew(self, client: &Client, vm: &Vm, messages: &Messages) -> Infallible {
        let mut has_warned = false;
        let mut tell = |text: &str| match std::mem::replace(&mut has_warned, true) {
            false => messages.warn(text),
            true => messages.verbose(1, text),
        };
        let failed = |error: &api::Error| tell(&unrenewed(vm, self.0, error));
        let error = client.keep_ttl(&vm.id, self.0, failed).await;
        match vm.ttl.is_some() {
            true => tell(&unrenewed(vm, self.0, &error)),
            // the launch has told that there is no timer
            false => messages.verbose(1, &without(&error.to_string())),
        }
        std::future::pending().await
    }

    /// Takes the timer off a VM that is kept.
    pub(super) async fn end(self, client: &Client, vm: &Vm, messages: &Messages) {
        let change = UpdateVmRequest {
            ttl: Some(None),
            ..UpdateVmRequest::default()
        };
        match client.update_vm(&vm.id, &change).await {
            Ok(_) => {}
            // Where there are no timers there is none to take off.
            Err(_) if vm.ttl.is_none() => {}
            Err(error) => {
                messages.warn(&format!(
                    "VM {id} is deleted in {length} unless you remove its timer: {error}",
                    error = said(&error),
                    id = visible(&vm.id),
                    length = human::duration(self.0)
                ));
                messages.hint(&format!("fastvm vm update {} --no-ttl", visible(&vm.id)));
            }
        }
    }
}

/// Says that the VM may go while its command runs.
fn unrenewed(vm: &Vm, length: Duration, error: &api::Error) -> String {
    let (id, length) = (visible(&vm.id), human::duration(length));
    format!(
        "the timer of VM {id} could not be renewed, and deletes it {length} after it was set: {}",
        said(error)
    )
}

/// Says that nothing deletes the VM if this command is killed.
fn without(why: &str) -> String {
    format!("running without a lease: {why}; the VM stays if this command is killed")
}

/// What is said of a launch that the API took only without the timer.
pub(super) fn refused(error: &api::Error) -> String {
    without(&format!("the API refused the timer: {}", said(error)))
}

/// The server's own words, or what failed instead.
fn said(error: &api::Error) -> String {
    let said = error.server_message();
    said.map_or_else(|| error.to_string(), str::to_owned)
}
