//! `fastvm credential list`

use super::table::CREDENTIALS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm credential list
  fastvm credential list -o name")]
pub struct ListArgs {}

pub(super) async fn run(context: &mut Context, _args: ListArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let credentials = client.list_credentials().await?;
    context.ui.list(credentials, &CREDENTIALS)?;
    Ok(Exit::SUCCESS)
}
