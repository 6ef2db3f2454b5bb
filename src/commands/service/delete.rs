//! `fastvm service delete`

use super::name::name;
use crate::commands::{shared::delete_many, shared::resolve_name};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The firewall closes at once; the proxy stops within 30 s.

Examples:
  fastvm service delete dev web
  fastvm service delete dev web grpc --yes --ignore-not-found")]
pub struct DeleteArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Names of services
    #[arg(required = true, value_name = "NAME", value_parser = name)]
    names: Vec<String>,

    /// Count a service that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(super) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    // the API calls a service that never was deleted as well, which would hide a misspelt name
    let services = client
        .list_services(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    let known: Vec<String> = services
        .into_iter()
        .map(|service| service.value.name)
        .collect();
    let found = args
        .names
        .iter()
        .map(|name| resolve_name::service(name, &known))
        .collect();
    let action = delete_many::of("service", "services");
    delete_many::delete(
        context,
        action,
        found,
        args.ignore_not_found,
        async |_| None,
        async |name| client.delete_service(&vm.id, &name).await,
    )
    .await
}
