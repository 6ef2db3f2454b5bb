//! `fastvm local reset`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::local;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  fastvm local reset --yes")]
pub struct ResetArgs {}

pub(crate) fn run(context: &mut Context, _args: ResetArgs) -> Result<Exit, Error> {
    let options = context.local_options()?;
    if !options.data.exists() {
        context.ui.status("there is nothing to delete");
        return Ok(Exit::SUCCESS);
    }
    let folder = options.data.display().to_string();
    context.confirm(&format!(
        "delete all local VMs, snapshots and files in {folder}?"
    ))?;
    local::reset(options)?;
    context
        .ui
        .status(&format!("deleted everything in {folder}"));
    Ok(Exit::SUCCESS)
}
