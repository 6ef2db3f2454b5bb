//! `fastvm firewall get`

use super::policy::{self, Which};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm firewall get dev
  fastvm firewall get dev --effective -o name")]
pub struct GetArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// What is enforced: with a rule for each service
    #[arg(long)]
    effective: bool,
}

pub(super) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let record = client
        .get_vm(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    let which = if args.effective {
        Which::Effective
    } else {
        Which::Set
    };
    policy::show(context, &record, which)?;
    Ok(Exit::SUCCESS)
}
