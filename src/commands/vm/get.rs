//! `fastvm vm get`

use crate::commands::shared::resolve_name;
use crate::commands::vm::VMS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::Client;
use fastvm_api::types::vm::Vm;

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
    let vm = resolve_name::vm(&client, &args.vm).await?;
    let mut record = client
        .get_vm(&vm.id)
        .await
        .map_err(|error| vm.explain(error))?;
    if context.ui.shows_columns() {
        name_volumes(&client, &mut record.value).await;
    }
    context.ui.one(record, &VMS)?;
    Ok(Exit::SUCCESS)
}

/// Puts the names of volumes in the place of their ids, where they can be had and each names one alone.
async fn name_volumes(client: &Client, vm: &mut Vm) {
    let Some(attachments) = vm.volumes.as_mut().filter(|all| !all.is_empty()) else {
        return;
    };
    let Ok(volumes) = client.list_volumes().await else {
        return;
    };
    let names = |id: &str| {
        let volume = volumes.iter().find(|volume| volume.value.id == id)?;
        let name = volume.value.name.as_ref().filter(|name| !name.is_empty())?;
        let same = volumes
            .iter()
            .filter(|other| other.value.name.as_ref() == Some(name));
        (same.count() == 1).then(|| name.clone())
    };
    for attachment in attachments {
        let name = attachment.volume_id.as_deref().and_then(names);
        attachment.volume_id = name.or_else(|| attachment.volume_id.take());
    }
}
