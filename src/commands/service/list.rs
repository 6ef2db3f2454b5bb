//! `fastvm service list`

use super::table::{SERVICES, public};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm service list dev
  fastvm service list dev --json")]
pub struct ListArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,
}

pub(super) async fn run(context: &mut Context, args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let services = client
        .list_services(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    let services = services
        .into_iter()
        .map(|service| public(&client, &vm.id, service));
    context.ui.list(services.collect(), &SERVICES)?;
    Ok(Exit::SUCCESS)
}
