//! `fastvm snapshot restore`

use crate::commands::shared::launch_vms::{self, GivenOptions, WaitOptions};
use crate::commands::shared::resolve_name;
use crate::commands::vm::{VMS, outcome};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm snapshot restore golden --name dev-2
  fastvm snapshot restore golden -e MODE=test --metadata env=ci")]
pub struct RestoreArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    snapshot: String,

    #[command(flatten)]
    given: GivenOptions,

    #[command(flatten)]
    wait: WaitOptions,
}

pub(crate) async fn run(context: &mut Context, args: RestoreArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let mut request = args.given.request(&client).await?;
    request.snapshot_id = Some(resolve_name::snapshot(&client, &args.snapshot).await?.id);
    let vm = launch_vms::launch(context, &client, &request, &args.wait).await?;
    let line = outcome::line("launched", &vm.value);
    context.ui.outcome(vm, &VMS, &line)?;
    Ok(Exit::SUCCESS)
}
