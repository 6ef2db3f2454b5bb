//! `fastvm vm pause`

use super::several;
use crate::commands::shared::batch::Action;
use crate::commands::shared::vm_filter::TargetOptions;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A paused VM keeps its memory and disk and uses no quota; its timer stands still.

Examples:
  fastvm vm pause dev
  fastvm vm pause -l env=ci --status running")]
pub struct PauseArgs {
    #[command(flatten)]
    targets: TargetOptions,
}

const PAUSING: Action = Action {
    one: "VM",
    many: "VMs",
    doing: "pausing",
    done: "paused",
};

pub(crate) async fn run(context: &mut Context, args: PauseArgs) -> Result<Exit, Error> {
    args.targets.check()?;
    let client = context.client().await?;
    several::change(context, &client, PAUSING, &args.targets, async |vm| {
        client
            .pause_vm(&vm.id)
            .await
            .map_err(|error| vm.explain(error))
    })
    .await
}
