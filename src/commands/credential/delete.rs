//! `fastvm credential delete`

use crate::commands::{shared::delete_many, shared::resolve_name};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm credential delete reader --yes")]
pub struct DeleteArgs {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(required = true, value_name = "CREDENTIAL")]
    credentials: Vec<String>,

    /// Count a credential that is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
}

pub(super) async fn run(context: &mut Context, args: DeleteArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let found = resolve_name::credentials(&client, &args.credentials).await?;
    let action = delete_many::of("credential", "credentials");
    delete_many::delete(
        context,
        action,
        found,
        args.ignore_not_found,
        async |id| {
            let known = client.list_credentials().await.ok()?;
            known
                .into_iter()
                .map(|known| known.value)
                .find(|known| known.id == id)?
                .name
        },
        async |id| client.delete_credential(&id).await,
    )
    .await
}
