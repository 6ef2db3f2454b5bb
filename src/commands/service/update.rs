//! `fastvm service update`

use super::name::{name, port};
use super::table::{SERVICES, line, public};
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::service::UpdateServiceRequest;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm service update dev web 9090
  fastvm service update dev web 9090 --no-h2c")]
pub struct UpdateArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Name of the service
    #[arg(value_parser = name)]
    name: String,

    /// TCP port in the VM, 1024 or higher
    #[arg(value_parser = port)]
    port: i32,

    /// Speak cleartext HTTP/2 to the VM
    #[arg(long, conflicts_with = "no_h2c")]
    h2c: bool,

    /// Speak HTTP/1.1 to the VM; without this and --h2c it stays as it is
    #[arg(long)]
    no_h2c: bool,
}

pub(super) async fn run(context: &mut Context, args: UpdateArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let change = UpdateServiceRequest {
        port: args.port,
        h2c: (args.h2c || args.no_h2c).then_some(args.h2c),
    };
    let service = client
        .update_service(&vm.id, &args.name, &change)
        .await
        .map_err(|error| vm.explain(error))?;
    let service = public(&client, &vm.id, service);
    let line = line("changed", &vm, &service.value);
    context.ui.outcome(service, &SERVICES, &line)?;
    Ok(Exit::SUCCESS)
}
