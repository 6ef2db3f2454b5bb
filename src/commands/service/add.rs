//! `fastvm service add`

use super::name::{name, port};
use super::table::{SERVICES, line, public};
use crate::commands::shared::{create_request, resolve_name};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_api::types::Record;
use fastvm_api::types::service::{RegisterServiceRequest, ServiceAnswer};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The firewall of the VM opens for the port. Adding the same service again changes nothing.

Examples:
  fastvm service add dev web 8080
  fastvm service add dev grpc 50051 --h2c")]
pub struct AddArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// Name of the service, the first part of its host name
    #[arg(value_parser = name)]
    name: String,

    /// TCP port in the VM, 1024 or higher
    #[arg(value_parser = port)]
    port: i32,

    /// Speak cleartext HTTP/2 to the VM, as gRPC needs
    #[arg(long)]
    h2c: bool,
}

pub(super) async fn run(context: &mut Context, args: AddArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let request = RegisterServiceRequest {
        name: args.name.clone(),
        port: args.port,
        h2c: args.h2c,
    };
    let adding = async {
        let added = client.register_service(&vm.id, &request).await;
        added.map_err(|error| {
            let error = vm.explain(error);
            if error.kind() != Kind::Conflict {
                return error;
            }
            let command = format!(
                "fastvm service update {} {} {}",
                vm.id, args.name, args.port
            );
            error.hint(format!("change it with `{command}`"))
        })
    };
    let look = format!(
        "the service may exist all the same; look with `fastvm service list {}`",
        vm.id
    );
    let left = |error: Error, _: &Record<ServiceAnswer>| {
        error.target(&args.name).hint(format!(
            "service {} was added; delete it with `fastvm service delete {} {}`",
            args.name, vm.id, args.name
        ))
    };
    let service = create_request::wait_for_answer(adding, look, left).await?;
    let service = public(&client, &vm.id, service);
    let line = line("added", &vm, &service.value);
    context.ui.outcome(service, &SERVICES, &line)?;
    Ok(Exit::SUCCESS)
}
