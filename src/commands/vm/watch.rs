//! `fastvm vm list --watch`: the list again whenever it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Client;
use crate::commands::selecting::FilterOptions;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::output::Format;
use crate::signal::Signals;

/// Moves the cursor to the corner and clears what is below it.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J\x1b[3J";

/// Prints until a signal or a failure. A terminal is redrawn; a pipe gets the list whenever it changes, and with `-o jsonl`
/// the VMs that changed.
pub(super) async fn watch(
    context: &mut Context,
    client: &Client,
    filter: &FilterOptions,
    interval: Duration,
) -> Result<(), Error> {
    if matches!(context.settings.format, Some(Format::Json | Format::Yaml)) {
        return Err(Error::usage("--watch prints more than one document").hint("use -o jsonl"));
    }
    let lines = context.settings.format == Some(Format::Jsonl);
    let redraws = context.settings.draws && context.ui.shows_tables();
    let mut signals = Signals::listen()?;
    let mut last: Option<BTreeMap<String, String>> = None;
    loop {
        let mut vms = tokio::select! {
            vms = filter.list(client) => vms?,
            signal = signals.next() => return Err(signal.error()),
        };
        let now: BTreeMap<_, _> = vms
            .iter()
            .map(|vm| (vm.value.id.clone(), vm.json.get().to_owned()))
            .collect();
        if redraws {
            context.ui.bytes(CLEAR)?;
            context.ui.list(vms, &VMS)?;
        } else if last.as_ref() != Some(&now) {
            if lines {
                let before = last.take().unwrap_or_default();
                vms.retain(|vm| before.get(&vm.value.id) != now.get(&vm.value.id));
            }
            context.ui.list(vms, &VMS)?;
        }
        last = Some(now);
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            signal = signals.next() => return Err(signal.error()),
        }
    }
}
