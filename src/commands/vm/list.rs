//! `fastvm vm list`

use crate::commands::selecting::FilterOptions;
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
  fastvm vm list --json | jq -r '.[].id'
  fastvm vm list -q '.[] | select(.cpu > 2) | .name'")]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterOptions,
}

pub(crate) async fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let spinner = context.ui.spinner("listing VMs");
    let vms = args.filter.list(&client).await?;
    drop(spinner);
    context.ui.list(vms, &VMS)?;
    Ok(Exit::SUCCESS)
}
