//! Doing one thing to several VMs and printing what they are afterwards.

use crate::api::Client;
use crate::commands::naming::Named;
use crate::commands::selecting::TargetOptions;
use crate::commands::several::{self, Action};
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::wire::Record;
use crate::wire::vm::Vm;

/// Finds the VMs, does it to each, and prints the VMs it was done to: one object where one was named, else a list.
pub(super) async fn change(
    context: &mut Context,
    client: &Client,
    deed: Action,
    targets: &TargetOptions,
    act: impl AsyncFn(&Named) -> Result<Record<Vm>, Error>,
) -> Result<Exit, Error> {
    let (found, mut failures) = several::resolve_targets(targets.find(client).await?);
    let mut outcome = several::each(context, deed, found, act).await;
    failures.append(&mut outcome.failures);
    let done = outcome.done.len();
    let mut vms: Vec<_> = outcome.done.into_iter().map(|(_, vm)| vm).collect();
    if targets.is_one() {
        if let Some(vm) = vms.pop() {
            let line = outcome::line(deed.done, &vm.value);
            context.ui.outcome(vm, &VMS, &line)?;
        }
    } else if failures.is_empty() || !vms.is_empty() {
        context.ui.list(vms, &VMS)?;
    }
    several::finish(context, deed, done, failures)
}
