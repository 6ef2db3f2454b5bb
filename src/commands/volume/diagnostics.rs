//! `fastvm volume diagnostics`

use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints JSON whose fields the API does not promise.

Example:
  fastvm volume diagnostics data")]
pub struct DiagnosticsArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    volume: String,
}

pub(super) async fn run(context: &mut Context, args: DiagnosticsArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let volume = resolve_name::volume(&client, &args.volume).await?;
    let diagnostics = client
        .volume_diagnostics(&volume.id)
        .await
        .map_err(|error| volume.explain(error))?;
    context.ui.raw_json(&diagnostics)?;
    Ok(Exit::SUCCESS)
}
