//! `fastvm snapshot delete`

use crate::commands::shared::delete_many;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm snapshot delete golden --yes")]
pub struct DeleteArgs {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(required = true, value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    /// Count a snapshot that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(crate) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = resolve_name::snapshots(&client, &args.snapshots).await?;
    let action = delete_many::of("snapshot", "snapshots");
    delete_many::delete(
        context,
        action,
        found,
        args.ignore_not_found,
        async |id| client.get_snapshot(id).await.ok()?.value.name,
        async |id| client.delete_snapshot(&id).await,
    )
    .await
}
