//! `fastvm snapshot list`

use super::table::SNAPSHOTS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm snapshot list
  fastvm snapshot list --sort age -o name")]
pub struct ListArgs {}

pub(crate) async fn run(context: &mut Context, _args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let snapshots = client.list_snapshots().await?;
    context.ui.list(snapshots, &SNAPSHOTS)?;
    Ok(Exit::SUCCESS)
}
