//! `fastvm vm launch`

use crate::commands::launching::{self, LaunchOptions, WaitOptions};
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm launch --type c2m4 --name dev
  fastvm vm launch --snapshot golden -e MODE=test --metadata env=ci
  id=$(fastvm vm launch -o id)")]
pub struct LaunchArgs {
    #[command(flatten)]
    launch: LaunchOptions,

    #[command(flatten)]
    wait: WaitOptions,
}

pub(crate) async fn run(context: &mut Context, args: LaunchArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let request = args.launch.request(&client).await?;
    let vm = launching::launch(context, &client, &request, &args.wait).await?;
    context.ui.one(vm, &VMS)?;
    Ok(Exit::SUCCESS)
}
