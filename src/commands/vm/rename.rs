//! `fastvm vm rename`

use crate::commands::shared::new_name::new_name;
use crate::commands::shared::resolve_name::{self, Named};
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::vm::UpdateVmRequest;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm vm rename dev staging")]
pub struct RenameArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// The new name; the API cuts it after 64 characters
    #[arg(value_parser = new_name)]
    name: String,
}

pub(crate) async fn run(context: &mut Context, args: RenameArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let change = UpdateVmRequest {
        name: Some(args.name),
        ..UpdateVmRequest::default()
    };
    let record = client
        .update_vm(&vm.id, &change)
        .await
        .map_err(|error| vm.explain(error))?;
    let line = vm.renamed(&Named::vm(&record.value));
    context.ui.outcome(record, &VMS, &line)?;
    Ok(Exit::SUCCESS)
}
