//! `fastvm volume list`

use super::table::VOLUMES;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm volume list
  fastvm volume list --sort size:desc -o wide")]
pub struct ListArgs {}

pub(super) async fn run(context: &mut Context, _args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let volumes = client.list_volumes().await?;
    context.ui.list(volumes, &VOLUMES)?;
    Ok(Exit::SUCCESS)
}
