//! `fastvm volume update`

use super::outcome;
use super::table::VOLUMES;
use crate::commands::shared::resolve_name;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::volume::{NATIVE, UpdateVolumeRequest};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
VMs that run keep the credential they have; those launched from then on use the new one.

Examples:
  fastvm volume update data --name archive
  fastvm volume update models --credential reader-2")]
pub struct UpdateArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    volume: String,

    /// The new name
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Another stored credential for the bucket, by id or name
    #[arg(long, value_name = "CREDENTIAL")]
    credential: Option<String>,
}

pub(super) async fn run(context: &mut Context, args: UpdateArgs) -> Result<Exit, Error> {
    if args.name.is_none() && args.credential.is_none() {
        return Err(Error::usage("nothing is to be changed").hint("give --name or --credential"));
    }
    if args
        .name
        .as_ref()
        .is_some_and(|name| name.trim().is_empty())
    {
        return Err(Error::usage("the new name is empty"));
    }
    let client = context.client().await?;
    let volume = resolve_name::volume(&client, &args.volume).await?;
    if args.credential.is_some() {
        let found = client
            .get_volume(&volume.id)
            .await
            .map_err(|error| volume.explain(error))?;
        if found.value.backend.as_deref() == Some(NATIVE) {
            let message = format!(
                "--credential has no effect on the volume {}, which is not in a bucket",
                volume.label()
            );
            return Err(Error::usage(message).hint("leave out --credential"));
        }
    }
    let credentials_ref = match &args.credential {
        Some(credential) => Some(resolve_name::credential(&client, credential).await?.id),
        None => None,
    };
    let change = UpdateVolumeRequest {
        name: args.name,
        credentials_ref,
    };
    let record = client
        .update_volume(&volume.id, &change)
        .await
        .map_err(|error| volume.explain(error))?;
    let line = outcome::line("changed", &record.value);
    context.ui.outcome(record, &VOLUMES, &line)?;
    Ok(Exit::SUCCESS)
}
