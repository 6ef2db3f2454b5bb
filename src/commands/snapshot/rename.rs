//! `fastvm snapshot rename`

use super::table::SNAPSHOTS;
use crate::commands::shared::new_name::new_name;
use crate::commands::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::snapshot::UpdateSnapshotRequest;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm snapshot rename golden golden-2025")]
pub struct RenameArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    snapshot: String,

    /// The new name; the API cuts it after 64 characters
    #[arg(value_parser = new_name)]
    name: String,
}

pub(crate) async fn run(context: &mut Context, args: RenameArgs) -> Result<Exit, Error> {
    let client = context.client().await?;
    let snapshot = resolve_name::snapshot(&client, &args.snapshot).await?;
    let change = UpdateSnapshotRequest {
        name: Some(args.name),
    };
    let record = client
        .update_snapshot(&snapshot.id, &change)
        .await
        .map_err(|error| snapshot.explain(error))?;
    let line = snapshot.renamed(&Named::snapshot(&record.value));
    context.ui.outcome(record, &SNAPSHOTS, &line)?;
    Ok(Exit::SUCCESS)
}
