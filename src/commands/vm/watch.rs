//! `fastvm vm list --watch`: the list again whenever it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::commands::shared::vm_filter::FilterOptions;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Format;
use crate::signal::Signals;
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::vm::Vm;

/// Moves the cursor to the corner and clears what is below it.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J\x1b[3J";

/// Prints until a signal, whose exit code it returns. A terminal is redrawn; a pipe gets the list whenever it changes, and
/// with `-o jsonl` the VMs that changed. A server that is away may come back: until then the last list stays.
pub(super) async fn watch(
    context: &mut Context,
    client: &Client,
    filter: &FilterOptions,
    interval: Duration,
) -> Result<Exit, Error> {
    if matches!(context.settings.format, Some(Format::Json | Format::Yaml)) {
        return Err(Error::usage("--watch prints more than one document").hint("use -o jsonl"));
    }
    let mut signals = Signals::listen()?;
    let mut screen = Watched::new(context);
    let mut is_away = false;
    loop {
        let answer = tokio::select! {
            answer = filter.list(client) => answer,
            signal = signals.next() => return Ok(Exit::of_signal(signal.number())),
        };
        match answer {
            Ok(vms) => {
                is_away = false;
                screen.show(context, vms)?;
            }
            Err(error) if error.may_pass() => {
                if !std::mem::replace(&mut is_away, true) {
                    let why = error.to_string();
                    context.ui.warn(&format!("{why}; still watching"));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            signal = signals.next() => return Ok(Exit::of_signal(signal.number())),
        }
    }
}

/// The list as it was printed last.
struct Watched {
    redraws: bool,
    only_changes: bool,
    last: Option<BTreeMap<String, String>>,
}

impl Watched {
    fn new(context: &Context) -> Self {
        Self {
            redraws: context.settings.draws && context.ui.shows_tables(),
            only_changes: context.settings.format == Some(Format::Jsonl),
            last: None,
        }
    }

    fn show(&mut self, context: &mut Context, mut vms: Vec<Record<Vm>>) -> Result<(), Error> {
        let now: BTreeMap<_, _> = vms
            .iter()
            .map(|vm| (vm.value.id.clone(), vm.json.get().to_owned()))
            .collect();
        if self.redraws {
            context.ui.bytes(CLEAR)?;
            context.ui.list(vms, &VMS)?;
        } else if self.last.as_ref() != Some(&now) {
            if self.only_changes {
                let before = self.last.take().unwrap_or_default();
                vms.retain(|vm| before.get(&vm.value.id) != now.get(&vm.value.id));
            }
            context.ui.list(vms, &VMS)?;
        }
        self.last = Some(now);
        Ok(())
    }
}
