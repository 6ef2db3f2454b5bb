//! `fastvm snapshot get`

use super::table::SNAPSHOTS;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm snapshot get golden
  fastvm snapshot get golden -q .status")]
pub struct GetArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    snapshot: String,
}

pub(crate) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let snapshot = resolve_name::snapshot(&client, &args.snapshot).await?;
    let record = client
        .get_snapshot(&snapshot.id)
        .await
        .map_err(|error| snapshot.explain(error))?;
    context.ui.one(record, &SNAPSHOTS)?;
    Ok(Exit::SUCCESS)
}
