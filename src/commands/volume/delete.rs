//! `fastvm volume delete`

use crate::commands::{shared::delete_many, shared::resolve_name};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A bucket of yours keeps what it holds. A volume that is mounted somewhere is not deleted.

Example:
  fastvm volume delete data --yes")]
pub struct DeleteArgs {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,

    /// Count a volume that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(super) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = resolve_name::volumes(&client, &args.volumes).await?;
    let action = delete_many::of("volume", "volumes");
    delete_many::delete(
        context,
        action,
        found,
        args.ignore_not_found,
        async |id| client.get_volume(id).await.ok()?.value.name,
        async |id| client.delete_volume(&id).await,
    )
    .await
}
