//! `fastvm vm delete`

use crate::commands::shared::delete_many;
use crate::commands::shared::vm_filter::TargetOptions;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm delete dev
  fastvm vm delete web-1 web-2 --yes --ignore-not-found
  fastvm vm delete -l env=ci --older-than 2h --yes")]
pub struct DeleteArgs {
    #[command(flatten)]
    targets: TargetOptions,

    /// Count a VM that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(crate) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    args.targets.check()?;
    let client = context.client().await?;
    let found = args.targets.find(&client).await?;
    let action = delete_many::of("VM", "VMs");
    delete_many::delete(
        context,
        action,
        found,
        args.ignore_not_found,
        async |id| client.get_vm(id).await.ok()?.value.name,
        async |id| client.delete_vm(&id).await,
    )
    .await
}
