//! `fastvm vm get`

use crate::commands::naming;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm vm get dev
  fastvm vm get dev -q .status
  fastvm vm get dev --columns env-values")]
pub struct GetArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,
}

pub(crate) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = naming::vm(&client, &args.vm).await?;
    let record = client
        .get_vm(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    context.ui.one(record, &VMS)?;
    Ok(Exit::SUCCESS)
}
