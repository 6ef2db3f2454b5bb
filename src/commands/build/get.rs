//! `fastvm build get`

use super::table::BUILDS;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::control::visible;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm build get 9a6e5b1c-0f0d-4c55-8a3c-6f0b1d2e3f40
  fastvm build get $id -q .snapshotId")]
pub struct GetArgs {
    /// Id of the build, as `build create` printed it
    build: String,
}

pub(super) async fn run(context: &mut Context, args: GetArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let build = client.get_build(&args.build).await.map_err(|error| {
        Error::from(error)
            .within(format!("build {}", visible(&args.build)))
            .target(&args.build)
    })?;
    context.ui.one(build, &BUILDS)?;
    Ok(Exit::SUCCESS)
}
