//! `fastvm volume get`

use super::table::VOLUMES;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm volume get data
  fastvm volume get data -q .statusMessage")]
pub struct GetArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    volume: String,
}

pub(super) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let volume = resolve_name::volume(&client, &args.volume).await?;
    let record = client
        .get_volume(&volume.id)
        .await
        .map_err(|error| volume.explain(error))?;
    context.ui.one(record, &VOLUMES)?;
    Ok(Exit::SUCCESS)
}
