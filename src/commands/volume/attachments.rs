//! `fastvm volume attachments`

use super::table::ATTACHMENTS;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm volume attachments data
  fastvm volume attachments data -q '.[].vmId'")]
pub struct AttachmentsArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    volume: String,
}

pub(super) async fn run(context: &mut Context, args: AttachmentsArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let volume = resolve_name::volume(&client, &args.volume).await?;
    let attachments = client
        .volume_attachments(&volume.id)
        .await
        .map_err(|error| volume.explain(error))?;
    context.ui.list(attachments, &ATTACHMENTS)?;
    Ok(Exit::SUCCESS)
}
