//! `fastvm job list`

use super::failure::explain;
use super::table::{JOBS, Row};
use crate::commands::exec::ChooseOptions;
use crate::commands::shared::batch::{self, Action};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use crate::output::Record;
use fastvm_jobs::Jobs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A job is `running`, `exited` with a code, `killed by` a signal, `timed out`, or `lost`: the VM was started anew, or is a copy.
A code from 129 on that stands for a signal shows as that signal.

Examples:
  fastvm job list dev
  fastvm job list --all -o json
  fastvm job list -l env=ci -q '.[] | select(.state == \"running\").id'")]
pub struct ListArgs {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(value_name = "VM")]
    vms: Vec<String>,

    #[command(flatten)]
    choose: ChooseOptions,
}

const LISTING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "listing the jobs of",
    done: "asked for their jobs",
};

pub(super) async fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    if args.vms.is_empty() && !args.choose.any() {
        return Err(Error::usage("no VM is given").hint("name one, or take all with --all"));
    }
    if !args.vms.is_empty() && args.choose.any() {
        return Err(
            Error::usage("both VMs and options that choose VMs are given").hint("give one of them"),
        );
    }
    let client = context.client().await?;
    let (targets, mut failures) = match args.choose.any() {
        true => (args.choose.targets(&client, &[]).await?, Vec::new()),
        false => batch::resolve_targets(resolve_name::vms(&client, &args.vms).await?),
    };
    let outcome = batch::each(context, LISTING, targets, async |vm| {
        let listed = Jobs::of(&client, &vm.id).list().await;
        listed.map_err(|error| explain(vm, error))
    })
    .await;
    failures.extend(outcome.failures);
    let done = outcome.done.len();
    let rows = outcome.done.into_iter().flat_map(|(vm, jobs)| {
        let rows = jobs.into_iter().map(move |job| Row::new(&vm, job));
        rows.collect::<Vec<_>>()
    });
    let records: serde_json::Result<Vec<_>> = rows.map(Record::of).collect();
    let records = records.map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
    if failures.is_empty() || done > 0 {
        context.ui.list(records, &JOBS)?;
    }
    batch::finish(context, LISTING, done, failures)
}
