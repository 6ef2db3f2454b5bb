//! `fastvm vm delete`

use crate::commands::deleting::{self, Noun};
use crate::commands::naming;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm delete dev
  fastvm vm delete web-1 web-2 --yes --ignore-not-found")]
pub struct DeleteArgs {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(required = true, value_name = "VM")]
    vms: Vec<String>,

    /// Count a VM that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(crate) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = naming::vms(&client, &args.vms).await?;
    let noun = Noun {
        one: "VM",
        many: "VMs",
    };
    deleting::delete(context, noun, found, args.ignore_not_found, async |id| {
        client.delete_vm(&id).await
    })
    .await
}
