//! `fastvm vm list`

use std::time::Duration;

use super::watch;
use crate::commands::shared::launch_vms::poll_interval;
use crate::commands::shared::vm_filter::FilterOptions;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm list --status running
  fastvm vm list -l env=ci -l '!keep' -o wide
  fastvm vm list --name 'web-*' --older-than 2h
  fastvm vm list --watch
  fastvm vm list --json | jq -r '.[].id'
  fastvm vm list -q '.[] | select(.cpu > 2) | .name'")]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterOptions,

    /// Go on until Ctrl-C, and print again what changes
    #[arg(short, long)]
    watch: bool,

    /// How often to ask
    #[arg(long, value_name = "DUR", default_value = "2s", value_parser = poll_interval, requires = "watch")]
    interval: Duration,
}

pub(crate) async fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    if args.watch {
        return watch::watch(context, &client, &args.filter, args.interval).await;
    }
    let spinner = context.ui.spinner("listing VMs");
    let vms = args.filter.list(&client).await?;
    drop(spinner);
    context.ui.list(vms, &VMS)?;
    Ok(Exit::SUCCESS)
}
