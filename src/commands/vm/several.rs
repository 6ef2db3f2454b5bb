//! Doing one thing to several VMs and printing what they are afterwards.

use crate::commands::shared::batch::{self, Action};
use crate::commands::shared::resolve_name::Named;
use crate::commands::shared::vm_filter::TargetOptions;
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::vm::Vm;

/// Finds the VMs, does it to each, and prints the VMs it was done to: one object where one was named, else a list.
pub(super) async fn change(
    context: &mut Context,
    client: &Client,
    action: Action,
    targets: &TargetOptions,
    act: impl AsyncFn(&Named) -> Result<Record<Vm>, Error>,
) -> Result<Exit, Error> {
    let (found, mut failures) = batch::resolve_targets(targets.find(client).await?);
    let mut outcome = batch::each(context, action, found, act).await;
    failures.append(&mut outcome.failures);
    let done = outcome.done.len();
    let mut vms: Vec<_> = outcome.done.into_iter().map(|(_, vm)| vm).collect();
    if targets.is_one() {
        if let Some(vm) = vms.pop() {
            let line = outcome::line(action.done, &vm.value);
            context.ui.outcome(vm, &VMS, &line)?;
        }
    } else if failures.is_empty() || !vms.is_empty() {
        context.ui.outcomes(vms, &VMS, action.done)?;
    }
    batch::finish(context, action, done, failures)
}
